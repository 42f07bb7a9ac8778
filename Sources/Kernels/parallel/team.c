// Threads by OpenMP's runtime, through GNU's entry points: plain functions, no compiler flag.
#if defined(__linux__)
#define _GNU_SOURCE
#include <sched.h>
#endif

#include "apus_kernels.h"

#if defined(__linux__)
void GOMP_parallel(void (*function)(void *), void *data, unsigned threads, unsigned flags);
void GOMP_barrier(void);
int omp_get_thread_num(void);
int omp_get_num_threads(void);
void kmp_set_blocktime(int milliseconds);

/// How long a waiting worker spins before it sleeps. It is there for the next pass of a busy server; long spinning would
/// take the cores from the threads that read requests.
enum { BLOCK_MILLISECONDS = 1 };

typedef struct {
    apus_thread *team;
    void (*body)(void *context, apus_thread *thread);
    void *context;
} call;

/// Schedulers may put a team's threads on one CPU while another is free, and leave them there: each then waits a time
/// slice for the other at every barrier (seen on Linux 6.18: 2.2 ms instead of 0.16). Whoever finds itself on the CPU of a
/// thread before it moves to one that no thread of the team was last seen on; it may be moved again from there.
static void move_apart(apus_thread *thread) {
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
}

static void enter(void *data) {
    const call *c = data;
    size_t index = (size_t)omp_get_thread_num();
    apus_thread *thread = &c->team[index];
    thread->team = c->team;
    thread->index = index;
    thread->count = (size_t)omp_get_num_threads();
    thread->operation = 0;
    move_apart(thread);
    c->body(c->context, thread);
}
#endif

void apus_team_run(apus_thread *team, size_t count, void (*body)(void *context, apus_thread *thread), void *context) {
    team->handed_out[0] = team->handed_out[1] = 0;
#if defined(__linux__)
    if (count > 1) {
        call c = {team, body, context};
        kmp_set_blocktime(BLOCK_MILLISECONDS);
        GOMP_parallel(enter, &c, (unsigned)count, 0);
        return;
    }
#endif
    team->team = team;
    team->index = 0;
    team->count = 1;
    team->operation = 0;
    body(context, team);
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
#if defined(__linux__)
    if (thread->count > 1) GOMP_barrier();
#endif
}
