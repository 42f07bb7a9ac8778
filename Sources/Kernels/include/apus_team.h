// A team: threads that walk through the same operations together and share out each one's pieces. Its memory is the
// caller's. A run allocates nothing, and no failure of the system's ends the process.
#ifndef APUS_TEAM_H
#define APUS_TEAM_H

#include <stddef.h>

/// What runs the threads.
typedef enum apus_team_runtime {
    /// The team's own workers. A child of fork has none of them: it starts teams of its own.
    APUS_TEAM_PTHREADS,
    /// LLVM's libomp, opened by dlopen when the first such team starts. It keeps workers for each thread that calls
    /// apus_team_run: let one thread make all calls. Linux only.
    APUS_TEAM_OPENMP
} apus_team_runtime;

typedef struct apus_team_options {
    apus_team_runtime runtime;
    /// Whether a run may move workers that the scheduler put on one CPU apart, by sched_setaffinity (Linux), and, with
    /// OpenMP, set libomp's block time to a millisecond. The caller's thread stays where it is. Both outlast a run and
    /// the second is the whole process' affair: 0 in a program that has other uses for its threads.
    int spread;
} apus_team_options;

typedef struct apus_team apus_team;

/// One thread's place in a team. 64 bytes. One that is all zero but for `team`, itself, and `count`, 1, is a team alone.
typedef struct apus_thread {
    struct apus_thread *team; // the first of them
    size_t index, count;
    size_t operation;
    size_t handed_out[2]; // of the first thread: pieces of this and of the next operation, in turn
    apus_team *owner; // NULL of a thread alone
    int cpu; // where it was last seen, if `spread`
    int padding;
} apus_thread;

/// The bytes of memory that a team of `count` threads needs.
size_t apus_team_bytes(size_t count);

/// The bytes of a reason, its end included.
enum { APUS_TEAM_REASON = 192 };

/// Starts a team of `count` threads, the one that calls apus_team_run included; count ≥ 1.
/// memory: apus_team_bytes(count), aligned to 64, the team's until apus_team_stop.
/// Where the system gives fewer threads, the own workers make a smaller team (apus_team_count), down to the caller's thread
/// alone. OpenMP ends the process where it lacks shared memory (/dev/shm) or a thread: both are tried here, and NULL is
/// returned where either is missing, or libomp is. In both cases `reason` says what failed, else it is empty.
apus_team *apus_team_start(void *memory, size_t count, const apus_team_options *options, char reason[APUS_TEAM_REASON]);

/// How many threads the team has, the caller's included.
size_t apus_team_count(const apus_team *team);

/// Runs body(context, thread) on all threads of the team at once, the caller being the first; returns when all have ended.
/// thread->count is how many there are: fewer than the team's where OpenMP is told to give fewer (OMP_THREAD_LIMIT). One
/// thread is a plain call. One call at a time, from any thread (but see APUS_TEAM_OPENMP).
void apus_team_run(apus_team *team, void (*body)(void *context, apus_thread *thread), void *context);

/// Ends the team's workers, and waits for that. OpenMP keeps its own.
void apus_team_stop(apus_team *team);

/// Takes pieces *first ..< *last of the current operation's 0 ..< total; 0 where none are left. First large shares,
/// then ever smaller ones: a core that is busy with something else gets fewer.
int apus_thread_take(apus_thread *thread, size_t total, size_t *first, size_t *last);

/// Ends the operation: waits for all threads of the team; behind it, what each wrote is seen by all.
void apus_thread_barrier(apus_thread *thread);

#endif
