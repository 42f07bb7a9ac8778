// The team's contract, whatever runs the threads: own workers (pthreads.c) or OpenMP's (openmp.c).
#if defined(__linux__)
#define _GNU_SOURCE
#include <sched.h>
#endif

#include "team.h"

#include <stdio.h>
#include <string.h>

size_t apus_team_bytes(size_t count) {
    return sizeof(apus_team) + count * (sizeof(apus_thread) + sizeof(pthread_t));
}

void apus_team_explain(char *reason, const char *what, int error) {
    snprintf(reason, APUS_TEAM_REASON, "%s: %s", what, strerror(error));
}

apus_team *apus_team_start(void *memory, size_t count, const apus_team_options *options, char reason[APUS_TEAM_REASON]) {
    apus_team *team = memory;
    memset(team, 0, apus_team_bytes(count));
    team->options = *options;
    team->count = count;
    for (size_t i = 0; i < count; i++) {
        team->threads[i].team = team->threads;
        team->threads[i].owner = team;
        team->threads[i].cpu = -1;
    }
    reason[0] = 0;
    if (count == 1) return team;
    if (options->runtime == APUS_TEAM_OPENMP) return apus_openmp_start(team, count, reason) ? team : NULL;
    apus_pthreads_start(team, count, reason);
    return team;
}

size_t apus_team_count(const apus_team *team) { return team->count; }

void apus_team_run(apus_team *team, void (*body)(void *context, apus_thread *thread), void *context) {
    team->body = body;
    team->context = context;
    team->threads->handed_out[0] = team->threads->handed_out[1] = 0;
    if (team->count == 1) apus_team_enter(team, 0, 1);
    else if (team->options.runtime == APUS_TEAM_OPENMP) apus_openmp_run(team);
    else apus_pthreads_run(team);
}

void apus_team_stop(apus_team *team) {
    if (team->workers) apus_pthreads_stop(team);
}

/// Schedulers may put a team's threads on one CPU while another is free, and leave them there: each then waits a time
/// slice for the other at every barrier (seen on Linux 6.18: 2.2 ms instead of 0.16). Whoever finds itself on the CPU of a
/// thread before it moves to one that no thread of the team was last seen on; it may be moved again from there.
static void move_apart(apus_thread *thread) {
#if defined(__linux__)
    int cpu = sched_getcpu();
    __atomic_store_n(&thread->cpu, cpu, __ATOMIC_RELAXED);
    int is_taken = 0;
    for (size_t i = 0; i < thread->index; i++)
        is_taken |= __atomic_load_n(&thread->team[i].cpu, __ATOMIC_RELAXED) == cpu;
    cpu_set_t allowed, target;
    if (!is_taken || cpu < 0 || sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    cpu_set_t free = allowed;
    for (size_t i = 0; i < thread->count; i++) {
        int other = __atomic_load_n(&thread->team[i].cpu, __ATOMIC_RELAXED);
        if (other >= 0 && other < CPU_SETSIZE) CPU_CLR(other, &free);
    }
    for (int candidate = 0; candidate < CPU_SETSIZE; candidate++) {
        if (!CPU_ISSET(candidate, &free)) continue;
        __atomic_store_n(&thread->cpu, candidate, __ATOMIC_RELAXED);
        CPU_ZERO(&target);
        CPU_SET(candidate, &target);
        if (sched_setaffinity(0, sizeof target, &target) != 0) return;
        if (sched_setaffinity(0, sizeof allowed, &allowed) == 0) return;
        for (int any = 0; any < CPU_SETSIZE; any++) CPU_SET(any, &allowed); // its CPUs were changed meanwhile: all it may use
        sched_setaffinity(0, sizeof allowed, &allowed);
        return;
    }
#else
    (void)thread;
#endif
}

void apus_team_enter(apus_team *team, size_t index, size_t count) {
    apus_thread *thread = &team->threads[index];
    thread->index = index;
    thread->count = count;
    thread->operation = 0;
    if (team->options.spread && count > 1) move_apart(thread);
    team->body(team->context, thread);
}

int apus_thread_take(apus_thread *thread, size_t total, size_t *first, size_t *last) {
    size_t *handed_out = &thread->team->handed_out[thread->operation % 2];
    size_t start = __atomic_load_n(handed_out, __ATOMIC_RELAXED);
    size_t end;
    do {
        if (start >= total) return 0;
        size_t share = thread->count == 1 ? total : (total - start) / (2 * thread->count);
        end = start + (share ? share : 1);
    } while (!__atomic_compare_exchange_n(handed_out, &start, end, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    *first = start;
    *last = end;
    return 1;
}

void apus_thread_barrier(apus_thread *thread) {
    // The other count was last used before the previous barrier: nobody reads it until this one is passed.
    if (thread->index == 0) __atomic_store_n(&thread->handed_out[(thread->operation + 1) % 2], 0, __ATOMIC_RELAXED);
    thread->operation++;
    if (thread->count == 1) return;
    if (thread->owner->options.runtime == APUS_TEAM_OPENMP) apus_openmp_barrier();
    else apus_pthreads_barrier(thread->owner);
}
