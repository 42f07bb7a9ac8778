#include "apus_curl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

// From curl/curl.h, whose numbers never change: 0 for a long, 10000 for a pointer, 20000 for a function are added to each.
enum {
    NOPROGRESS = 43,
    CONNECTTIMEOUT = 78,
    WRITEDATA = 10001,
    URL = 10002,
    PROXY = 10004,
    ERRORBUFFER = 10010,
    HTTPHEADER = 10023,
    HEADERDATA = 10029,
    XFERINFODATA = 10057,
    CAINFO = 10065,
    SUPPRESS_CONNECT_HEADERS = 265,
    WRITEFUNCTION = 20011,
    HEADERFUNCTION = 20079,
    XFERINFOFUNCTION = 20219,
};

struct slist;

static struct {
    void *(*init)(void);
    void (*cleanup)(void *);
    void (*reset)(void *);
    int (*setopt)(void *, int option, ...);
    int (*perform)(void *);
    const char *(*strerror)(int);
    struct slist *(*append)(struct slist *, const char *);
    void (*free_all)(struct slist *);
    char missing[APUS_CURL_PROBLEM];
} curl;

struct apus_curl {
    void *easy;
    const apus_curl_request *request;
    time_t last; // when something came; before that, when the request began
    bool came;
    bool silent;
};

static void open_library(void) {
    const char *names[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.4.dylib"};
    void *library = NULL;
    for (int i = 0; !library && i < 3; i++) {
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (!library && !i) snprintf(curl.missing, sizeof curl.missing, "%s", dlerror());
    }
    if (!library) return;
    curl.init = (void *(*)(void))dlsym(library, "curl_easy_init");
    curl.cleanup = (void (*)(void *))dlsym(library, "curl_easy_cleanup");
    curl.reset = (void (*)(void *))dlsym(library, "curl_easy_reset");
    curl.setopt = (int (*)(void *, int, ...))dlsym(library, "curl_easy_setopt");
    curl.perform = (int (*)(void *))dlsym(library, "curl_easy_perform");
    curl.strerror = (const char *(*)(int))dlsym(library, "curl_easy_strerror");
    curl.append = (struct slist * (*)(struct slist *, const char *)) dlsym(library, "curl_slist_append");
    curl.free_all = (void (*)(struct slist *))dlsym(library, "curl_slist_free_all");
    bool whole = curl.init && curl.cleanup && curl.reset && curl.setopt && curl.perform && curl.strerror && curl.append
        && curl.free_all;
    snprintf(curl.missing, sizeof curl.missing, "%s", whole ? "" : "it lacks a function");
}

static time_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

static size_t header(char *line, size_t size, size_t count, void *data) {
    apus_curl *handle = data;
    bool go_on = handle->request->header(handle->request->context, line, size * count);
    handle->came = true;
    handle->last = now();
    return go_on ? size * count : 0;
}

static size_t body(char *bytes, size_t size, size_t count, void *data) {
    apus_curl *handle = data;
    bool go_on = handle->request->body(handle->request->context, bytes, size * count);
    handle->last = now();
    return go_on ? size * count : 0;
}

/// Called at least once a second. libcurl's own limit, LOW_SPEED_TIME, looks at the mean of five seconds.
static int progress(void *data, int64_t total, int64_t received, int64_t to_send, int64_t sent) {
    apus_curl *handle = data;
    long limit = handle->request->silent_seconds + (handle->came ? 0 : handle->request->connect_seconds);
    (void)total, (void)received, (void)to_send, (void)sent;
    return handle->silent = now() - handle->last > limit;
}

apus_curl *apus_curl_open(char problem[APUS_CURL_PROBLEM]) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, open_library);
    snprintf(problem, APUS_CURL_PROBLEM, "%s", curl.missing);
    if (*curl.missing) return NULL;
    void *easy = curl.init();
    apus_curl *handle = easy ? calloc(1, sizeof *handle) : NULL;
    if (handle) handle->easy = easy;
    else snprintf(problem, APUS_CURL_PROBLEM, "it cannot be initialized");
    return handle;
}

int apus_curl_get(apus_curl *handle, const apus_curl_request *request, char problem[APUS_CURL_PROBLEM]) {
    *handle = (apus_curl){.easy = handle->easy, .request = request, .last = now()};
    *problem = 0;
    struct slist *headers = NULL;
    for (const char *const *line = request->headers; *line; line++) headers = curl.append(headers, *line);
    void *easy = handle->easy;
    curl.reset(easy); // the options, not the connections
    curl.setopt(easy, URL, request->url);
    curl.setopt(easy, HTTPHEADER, headers);
    if (request->proxy) curl.setopt(easy, PROXY, request->proxy);
    if (request->ca_file) curl.setopt(easy, CAINFO, request->ca_file);
    curl.setopt(easy, CONNECTTIMEOUT, request->connect_seconds);
    curl.setopt(easy, SUPPRESS_CONNECT_HEADERS, 1L);
    curl.setopt(easy, HEADERFUNCTION, header);
    curl.setopt(easy, HEADERDATA, handle);
    curl.setopt(easy, WRITEFUNCTION, body);
    curl.setopt(easy, WRITEDATA, handle);
    curl.setopt(easy, XFERINFOFUNCTION, progress);
    curl.setopt(easy, XFERINFODATA, handle);
    curl.setopt(easy, NOPROGRESS, 0L);
    curl.setopt(easy, ERRORBUFFER, problem);
    int code = curl.perform(easy);
    curl.setopt(easy, ERRORBUFFER, (char *)NULL);
    curl.free_all(headers);
    if (handle->silent) snprintf(problem, APUS_CURL_PROBLEM, "no bytes came for too long");
    else if (code && !*problem) snprintf(problem, APUS_CURL_PROBLEM, "%s", curl.strerror(code));
    return code;
}

void apus_curl_close(apus_curl *handle) {
    curl.cleanup(handle->easy);
    free(handle);
}
