// What the team's files share.
#ifndef APUS_PARALLEL_TEAM_H
#define APUS_PARALLEL_TEAM_H

#include "apus_team.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdint.h>

struct apus_team {
    /// Written while no run is under way.
    apus_team_options options;
    size_t count;
    void (*body)(void *context, apus_thread *thread); // NULL: the workers end
    void *context;

    // The own workers' meeting place (pthreads.c). A line each for what all write and for what the waiting read.
    alignas(64) size_t arrived;
    alignas(64) unsigned meetings;
    unsigned sleepers;
    alignas(64) pthread_mutex_t lock; // held to count sleepers, to wake them, and while workers are made
    pthread_cond_t met;
    uint64_t spin_nanoseconds; // how long one that waits keeps its CPU
    pthread_t *workers; // [count], behind the threads; the first is none; NULL where there are none

    alignas(64) apus_thread threads[]; // [count]
};

/// The way of thread `index` of `count` through a run.
void apus_team_enter(apus_team *team, size_t index, size_t count);

/// Starts up to `count` − 1 workers and sets the team's count; where there are fewer, `reason` says why.
void apus_pthreads_start(apus_team *team, size_t count, char *reason);
void apus_pthreads_run(apus_team *team);
void apus_pthreads_stop(apus_team *team);
void apus_pthreads_barrier(apus_team *team);

/// Whether libomp can run `count` threads without ending the process; if not, `reason` says why.
int apus_openmp_start(apus_team *team, size_t count, char *reason);
void apus_openmp_run(apus_team *team);
void apus_openmp_barrier(void);

/// The system's failure as a reason.
void apus_team_explain(char *reason, const char *what, int error);

#endif
