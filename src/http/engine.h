/* Requests to providers: one libcurl multi handle with its connections.
 * Thread: the engine's owner; http_global_open() before any thread is started.
 *
 * A request for a token may be spent by being sent. So nothing here sends twice: redirects are not
 * followed, and the resend that libcurl does by itself when a kept connection turns out to be dead is
 * prevented (libcurl asks before it begins to send, and may do so once; a request without a body gets a
 * connection of its own). How far each exchange came is told exactly: not sent, lost, or a whole reply. */
#ifndef HTTP_ENGINE_H
#define HTTP_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/text.h"
#include "policy/verdict.h"

#define HTTP_BODY_MAX ((size_t)1 << 20) /* bytes of a reply's body */
#define HTTP_HEADERS_MAX ((size_t)64 << 10)

struct http_options {
    bool allow_http_loopback;     /* http:// to 127.0.0.0/8 and ::1 */
    const char *ca_file;          /* PEM, borrowed; NULL: the system's authorities */
    bool allow_private_addresses; /* RFC 1918, RFC 4193, link-local, carrier-grade NAT … */
};

/* All of it is the engine's after http_start(). */
struct http_request {
    char method[16];
    struct buf url;                      /* secret: some providers want tokens in it */
    struct buf headers;                  /* secret: `Name: value`, each ended by NUL */
    struct buf body;                     /* secret */
    struct buf tls_certificate, tls_key; /* PEM files of a client; empty: none (RFC 8705) */
    struct buf sigv4, sigv4_user;        /* what CURLOPT_AWS_SIGV4 and _USERPWD want; empty: none */
    bool has_body;
    bool is_url_open; /* nothing of a connection or a client stands in the URL */
    long timeout_ms, connect_timeout_ms;
};
void http_request_free(struct http_request *request);

struct http_reply {
    enum exchange_end end;
    int status;         /* HTTP; 0 without a reply */
    struct buf body;    /* secret */
    struct buf headers; /* secret: `name: value` lines of the final reply, each ended by NUL */
    char error[128];    /* why there is no reply: printable, no secret */
    int64_t took_ms;
};
void http_reply_free(struct http_reply *reply);
/* A header of the reply by name (letter case does not count); absent where there is none. */
struct text http_reply_header(const struct http_reply *reply, const char *name);

/* Called from http_run(); takes the reply. */
typedef void http_done_fn(void *context, struct http_reply *reply);

struct http_engine;

/* Once in a process. libcurl's memory is wiped when it is freed. 0 or BURSAR_E_NOMEM. */
int http_global_open(void);
void http_global_close(void);

struct http_engine *http_engine_new(const struct http_options *options); /* NULL without memory */
/* Requests under way end without their function being called. */
void http_engine_free(struct http_engine *engine);

/* Takes the request's content in every case. 0, or BURSAR_E_NOMEM with nothing begun. */
int http_start(struct http_engine *engine, struct http_request *request, http_done_fn *done,
               void *context);

/* Waits at most timeout_ms (< 0: a minute) for the network or for wake_fd to become readable, moves
 * all transfers on and calls the functions of those that ended. */
void http_run(struct http_engine *engine, int timeout_ms, int wake_fd);

#endif
