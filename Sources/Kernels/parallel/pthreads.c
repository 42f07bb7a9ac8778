// The team's own workers. All that they do together is one thing: to meet, where each waits for the last. A run is a
// meeting that opens it, at which the workers wait between runs, the operations' barriers, and one that closes it.
#if defined(__linux__)
#define _GNU_SOURCE
#endif

#include "team.h"

#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

/// How long one that waits looks for the last before it sleeps. It is there for the next pass of a busy server; longer
/// would take the cores from the threads that read requests.
static const uint64_t wait_nanoseconds = 1000000;

/// And how long of that it keeps its CPU: an operation's pieces end this near to each other. Only then it yields, as a CPU
/// that is given away to another program comes back after a time slice of milliseconds: with one busy neighbour on each of
/// two CPUs, yielding at once made passes of 0.8 ms take 63 on average instead of 6. A team with more threads than CPUs
/// has to: 3 on 2 spent 57 µs at a barrier, and 3 µs yielding at once.
static const uint64_t spin_nanoseconds = 50000;

/// Looks between two glances at the clock: 0.3 to 0.7 µs.
enum { LOOKS = 16 };

/// The kernels use less than 256 KB of it. Pages that are not touched cost nothing, and less than 2 MB is no huge page.
enum { STACK_BYTES = 1 << 20 };

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static uint64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static size_t processors(void) {
#if defined(__linux__)
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return (size_t)CPU_COUNT(&allowed);
#endif
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (size_t)online : 1;
}

/// Waits until more than `meetings` have been held.
static void await(apus_team *team, unsigned meetings) {
    uint64_t start = 0;
    for (;;) {
        for (int i = 0; i < LOOKS; i++) {
            if (__atomic_load_n(&team->meetings, __ATOMIC_ACQUIRE) != meetings) return;
            relax();
        }
        uint64_t now = nanoseconds();
        if (start == 0) start = now;
        if (now - start > wait_nanoseconds) break;
        if (now - start >= team->spin_nanoseconds) sched_yield();
    }
    // Either the last sees that one sleeps, and wakes it, or the one sees that the last was there: each writes before it
    // reads, in one order for all (sequential consistency).
    pthread_mutex_lock(&team->lock);
    __atomic_fetch_add(&team->sleepers, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&team->meetings, __ATOMIC_SEQ_CST) == meetings) pthread_cond_wait(&team->met, &team->lock);
    __atomic_fetch_sub(&team->sleepers, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&team->lock);
}

/// Waits until all threads of the team have come here.
static void meet(apus_team *team) {
    // Cannot change before this thread has arrived.
    unsigned meetings = __atomic_load_n(&team->meetings, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(&team->arrived, 1, __ATOMIC_ACQ_REL) < team->count) return await(team, meetings);
    __atomic_store_n(&team->arrived, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&team->meetings, meetings + 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&team->sleepers, __ATOMIC_SEQ_CST) == 0) return;
    pthread_mutex_lock(&team->lock);
    pthread_cond_broadcast(&team->met);
    pthread_mutex_unlock(&team->lock);
}

static void *work(void *argument) {
    apus_thread *thread = argument;
    apus_team *team = thread->owner;
    size_t index = (size_t)(thread - team->threads);
#if defined(__linux__)
    pthread_setname_np(pthread_self(), "apus-team");
#elif defined(__APPLE__)
    pthread_setname_np("apus-team");
#endif
    pthread_mutex_lock(&team->lock); // until it is known how many there are
    pthread_mutex_unlock(&team->lock);
    for (;;) {
        meet(team);
        if (!team->body) return NULL;
        apus_team_enter(team, index, team->count);
        meet(team);
    }
}

void apus_pthreads_start(apus_team *team, size_t count, char *reason) {
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->met, NULL);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    // Signals are for the host program's threads; a worker inherits that. What a fault of its own raises, it takes: blocked,
    // it would end the process without the host's handler.
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};
    sigset_t blocked, before;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    pthread_mutex_lock(&team->lock);
    team->workers = (pthread_t *)&team->threads[count];
    size_t made = 1;
    for (; made < count; made++) {
        int error = pthread_create(&team->workers[made], &attributes, work, &team->threads[made]);
        if (error == 0) continue;
        apus_team_explain(reason, "pthread_create", error);
        break;
    }
    team->count = made;
    team->spin_nanoseconds = made > processors() ? 0 : spin_nanoseconds;
    pthread_mutex_unlock(&team->lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

void apus_pthreads_run(apus_team *team) {
    meet(team);
    apus_team_enter(team, 0, team->count);
    meet(team);
}

void apus_pthreads_stop(apus_team *team) {
    team->body = NULL;
    meet(team);
    for (size_t i = 1; i < team->count; i++) pthread_join(team->workers[i], NULL);
    pthread_cond_destroy(&team->met);
    pthread_mutex_destroy(&team->lock);
}

void apus_pthreads_barrier(apus_team *team) { meet(team); }
