// OpenMP's workers, through GNU's entry points of LLVM's runtime: plain functions, no compiler flag. The library is opened
// when it is asked for: nothing else of Apus needs it.
#if defined(__linux__)
#define _GNU_SOURCE
#endif

#include "team.h"

#include <stdio.h>

#if defined(__linux__)
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/// How long a waiting worker spins before it sleeps, where that may be set. Its own are 200.
enum { BLOCK_MILLISECONDS = 1 };

/// What libomp 14 asks for: of shared memory, to note that it is loaded, and of stack for a worker.
enum { NOTE_BYTES = 1024, STACK_BYTES = 4 << 20 };

static struct {
    void (*parallel)(void (*function)(void *), void *data, unsigned threads, unsigned flags);
    void (*barrier)(void);
    int (*thread_num)(void);
    int (*num_threads)(void);
    void (*set_blocktime)(int milliseconds);
    char missing[APUS_TEAM_REASON]; // why it could not be opened, or empty
} openmp;

static void open_library(void) {
    void *library = dlopen("libomp.so.5", RTLD_NOW | RTLD_LOCAL);
    if (library) {
        openmp.parallel = (void (*)(void (*)(void *), void *, unsigned, unsigned))dlsym(library, "GOMP_parallel");
        openmp.barrier = (void (*)(void))dlsym(library, "GOMP_barrier");
        openmp.thread_num = (int (*)(void))dlsym(library, "omp_get_thread_num");
        openmp.num_threads = (int (*)(void))dlsym(library, "omp_get_num_threads");
        openmp.set_blocktime = (void (*)(int))dlsym(library, "kmp_set_blocktime");
        if (openmp.parallel && openmp.barrier && openmp.thread_num && openmp.num_threads && openmp.set_blocktime) return;
    }
    const char *error = dlerror();
    snprintf(openmp.missing, sizeof openmp.missing, "%s", error ? error : "libomp.so.5 lacks a function");
}

/// Makes, sizes and maps a piece of shared memory as libomp does when it starts; posix_fallocate finds a full /dev/shm,
/// which libomp meets as SIGBUS.
static int has_shared_memory(char *reason) {
    char name[64];
    snprintf(name, sizeof name, "/apus-team.%ld.%ld", (long)getpid(), (long)gettid());
    int file = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    int error = file < 0 ? errno : 0;
    if (file >= 0) {
        error = posix_fallocate(file, 0, NOTE_BYTES);
        void *note = error ? MAP_FAILED : mmap(NULL, NOTE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (note != MAP_FAILED) munmap(note, NOTE_BYTES);
        else if (!error) error = errno;
        close(file);
        shm_unlink(name);
    }
    if (error) apus_team_explain(reason, "shared memory in /dev/shm", error);
    return !error;
}

static void *wait_for(void *gate) {
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

/// Whether the system gives the workers of a team of `count`, all at once.
static int has_threads(apus_team *team, size_t count, char *reason) {
    static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_t *threads = (pthread_t *)&team->threads[count];
    size_t made = 1;
    int error = 0;
    pthread_mutex_lock(&gate);
    while (made < count && (error = pthread_create(&threads[made], &attributes, wait_for, &gate)) == 0) made++;
    pthread_mutex_unlock(&gate);
    for (size_t i = 1; i < made; i++) pthread_join(threads[i], NULL);
    pthread_attr_destroy(&attributes);
    if (error) apus_team_explain(reason, "pthread_create", error);
    return !error;
}

int apus_openmp_start(apus_team *team, size_t count, char *reason) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, open_library);
    if (openmp.missing[0]) {
        snprintf(reason, APUS_TEAM_REASON, "%s", openmp.missing);
        return 0;
    }
    return has_shared_memory(reason) && has_threads(team, count, reason);
}

static void enter(void *team) { apus_team_enter(team, (size_t)openmp.thread_num(), (size_t)openmp.num_threads()); }

void apus_openmp_run(apus_team *team) {
    if (team->options.spread) openmp.set_blocktime(BLOCK_MILLISECONDS); // a setting of the thread that calls
    openmp.parallel(enter, team, (unsigned)team->count, 0);
}

void apus_openmp_barrier(void) { openmp.barrier(); }
#else
int apus_openmp_start(apus_team *team, size_t count, char *reason) {
    (void)team;
    (void)count;
    snprintf(reason, APUS_TEAM_REASON, "it is supported on Linux only");
    return 0;
}

void apus_openmp_run(apus_team *team) { (void)team; }

void apus_openmp_barrier(void) {}
#endif
