#pragma once

#include <stdbool.h>
#include <stddef.h>

/// libcurl, opened with dlopen when something is to be fetched: building Apus needs none of its headers, and a server that
/// fetches nothing does not load it and the thirty libraries it brings.
typedef struct apus_curl apus_curl;

/// One GET. What libcurl reads from the environment holds: https_proxy, http_proxy, all_proxy, no_proxy and their like.
typedef struct {
    const char *url;
    const char *const *headers; // "name: value", NULL at the end
    const char *proxy;          // NULL: by the environment
    const char *ca_file;        // certificates to trust; NULL: the system's
    long connect_seconds;       // to connect, TLS included
    long silent_seconds;        // between two reads
    /// Get each line above the body, and the body's bytes; false ends the transfer.
    bool (*header)(void *context, const char *line, size_t count);
    bool (*body)(void *context, const char *bytes, size_t count);
    void *context;
} apus_curl_request;

enum { APUS_CURL_PROBLEM = 256 };

/// A handle that does one request after another and keeps its connections; NULL, and why, where there is no libcurl.
apus_curl *apus_curl_open(char problem[APUS_CURL_PROBLEM]);

/// Returns when the transfer has ended: libcurl's code, 0 where all went well, else also what went wrong.
int apus_curl_get(apus_curl *handle, const apus_curl_request *request, char problem[APUS_CURL_PROBLEM]);

void apus_curl_close(apus_curl *handle);
