// The team of own workers under ThreadSanitizer: `make test-sanitized`. What the threads write is plain memory, so each
// order that the team promises and does not keep is a race that the sanitizer reports, and a wrong sum here.
#define _GNU_SOURCE
#include "apus_team.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { PIECES = 37, OPERATIONS = 10, RUNS = 20, STARTS = 6, THREADS = 5 };

typedef struct {
    apus_team *team;
    unsigned seed;
    size_t pieces[OPERATIONS][PIECES];
    size_t last_index; // written by all in turn
} work;

static void check(int is_true, const char *what) {
    if (is_true) return;
    fprintf(stderr, "team_stress: %s\n", what);
    exit(1);
}

/// Past the time that one that waits keeps looking, in one case of four.
static void pause_sometimes(unsigned *seed) {
    if (rand_r(seed) % 200) return;
    struct timespec time = {0, rand_r(seed) % 4 ? 100000 : 2000000};
    nanosleep(&time, NULL);
}

static void walk(void *context, apus_thread *thread) {
    work *w = context;
    unsigned seed = w->seed + (unsigned)thread->index;
    for (size_t operation = 0; operation < OPERATIONS; operation++) {
        size_t first, last;
        while (apus_thread_take(thread, PIECES, &first, &last)) {
            for (size_t i = first; i < last; i++) w->pieces[operation][i] = operation ? w->pieces[operation - 1][i] + 1 : 1;
            pause_sometimes(&seed);
        }
        if (operation % thread->count == thread->index) w->last_index = thread->index;
        apus_thread_barrier(thread);
        size_t sum = 0;
        for (size_t i = 0; i < PIECES; i++) sum += w->pieces[operation][i];
        check(sum == PIECES * (operation + 1), "a piece was lost or taken twice");
        check(w->last_index == operation % thread->count, "a write before the barrier was not seen behind it");
        apus_thread_barrier(thread);
    }
}

static void run(work *w) {
    memset(w->pieces, 0, sizeof w->pieces);
    w->seed += THREADS;
    apus_team_run(w->team, walk, w);
    check(w->pieces[OPERATIONS - 1][PIECES - 1] == OPERATIONS, "a run returned before its end");
}

/// One caller's runs; callers come one after the other.
static void *call(void *context) {
    work *w = context;
    for (int i = 0; i < RUNS; i++) {
        run(w);
        pause_sometimes(&w->seed);
    }
    return NULL;
}

static work w;
static _Alignas(64) char memory[1 << 12];

static size_t start(size_t count, int spread, char *reason) {
    apus_team_options options = {APUS_TEAM_PTHREADS, spread};
    check(apus_team_bytes(count) <= sizeof memory, "a team grew past this program's memory for it");
    w.team = apus_team_start(memory, count, &options, reason);
    return apus_team_count(w.team);
}

static void runs_from_any_thread(void) {
    char reason[APUS_TEAM_REASON];
    for (size_t count = 1; count <= THREADS; count++) {
        for (int i = 0; i < STARTS; i++) {
            check(start(count, i % 2, reason) == count, reason);
            pthread_t caller;
            check(pthread_create(&caller, NULL, call, &w) == 0, "no thread to call from");
            pthread_join(caller, NULL);
            call(&w);
            apus_team_stop(w.team);
        }
    }
}

#if defined(__linux__)
// These stand before the C library's: each thread seems to be on the CPU of the first, and each move is counted.
static size_t moves;
static int seems_crowded;

int sched_getcpu(void) { return seems_crowded ? 0 : -1; }

int sched_setaffinity(pid_t thread, size_t size, const cpu_set_t *set) {
    (void)thread, (void)size, (void)set;
    __atomic_fetch_add(&moves, 1, __ATOMIC_RELAXED);
    return 0;
}

static void moves_threads_only_if_asked(void) {
    char reason[APUS_TEAM_REASON];
    cpu_set_t allowed;
    seems_crowded = 1;
    for (int spread = 0; spread <= 1; spread++) {
        start(2, spread, reason);
        for (int i = 0; i < RUNS; i++) run(&w);
        apus_team_stop(w.team);
        if (!spread) check(moves == 0, "a thread was moved that was not to be");
    }
    seems_crowded = 0;
    check(sched_getaffinity(0, sizeof allowed, &allowed) == 0, "no affinity");
    if (CPU_COUNT(&allowed) > 1) check(moves > 0, "no thread was moved apart, so the check above saw nothing");
}

/// With ever more threads allowed to this user: the team is what there is, says why, and works.
static void works_with_the_threads_there_are(void) {
    char reason[APUS_TEAM_REASON];
    struct rlimit limit, before;
    if (getuid() == 0) check(setuid(65534) == 0, "root has no limit of threads, and cannot become somebody else");
    getrlimit(RLIMIT_NPROC, &before);
    limit = before;
    size_t last = 0, seen = 0;
    for (limit.rlim_cur = 1; last < THREADS && limit.rlim_cur < 10000; limit.rlim_cur++) {
        check(setrlimit(RLIMIT_NPROC, &limit) == 0, "the limit of threads cannot be set");
        size_t count = start(THREADS, 0, reason);
        check((count < THREADS) == (reason[0] != 0), "fewer threads without a reason, or a reason without that");
        seen += count != last;
        if (count != last) run(&w);
        last = count;
        apus_team_stop(w.team);
    }
    check(last == THREADS && seen > 2, "the limit of threads did not show");
}
#endif

int main(void) {
    runs_from_any_thread();
#if defined(__linux__)
    moves_threads_only_if_asked();
    works_with_the_threads_there_are();
#endif
    puts("team_stress: every piece once, every write seen");
}
