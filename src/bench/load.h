/* A load of equal jobs on a daemon, sent raw and as fast as the answers come, and how long each took.
 * Thread: the caller's; ZeroMQ has one of its own for the sockets.
 *
 * The answers are not decoded but for their id and `ok`, so that the client costs little beside the daemon,
 * and as much as for any other server that answers so. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "wire/op.h"

#define LOAD_CLIENTS_MAX 1024
#define LOAD_OUTSTANDING_MAX 1000000
#define LOAD_JOBS_MAX 20000000
#define LOAD_BYTES_MAX 32768
#define LOAD_CODE_SIZE 64

/* What is asked of it. Borrowed for load_run(). */
struct load_plan {
    const char *endpoint;
    const char *server_key, *secret_key; /* in Z85, both for CURVE or none */
    enum job_op op;                      /* OP_VEND, OP_REFRESH (forced) or OP_PUT */
    const char *owner, *provider, *account;
    uint64_t connections; /* accounts ACCOUNT-00000000 and so on; 0: the one account */
    bool is_random; /* a connection by chance each time; else each once before any comes again */
    size_t secret_bytes;    /* OP_PUT: of the token */
    bool has_refresh_token; /* OP_PUT: kind oauth2 with one; else bearer */
    uint32_t lives_s;       /* OP_PUT, with it: until the token expires */
    size_t clients;         /* sockets */
    size_t
        outstanding; /* jobs that wait for their answers, of all clients; at least one for each */
    uint64_t jobs;
    uint64_t
        rate_per_s; /* so many are sent, by the millisecond, and a job that is sent late has waited
                          * since its turn; 0: each when there is an answer */
    uint32_t deadline_ms;
};

struct load_result {
    uint64_t answered, refused;
    char first_refusal[LOAD_CODE_SIZE]; /* its code; "" where none was */
    size_t reply_bytes;                 /* of the last answer */
    double seconds;                     /* from the first job to the last answer */
    double answers_s;                   /* from the first answer to the last */
    double ended_at_s;                  /* of the last answer, since 1970 UTC */
    double cpu_s;                       /* of this process */
    double p50_us, p99_us, p999_us, max_us;
};

/* 0, BURSAR_E_NOMEM, BURSAR_E_IO (a socket), or BURSAR_E_DEADLINE_EXCEEDED where for the jobs' deadline and a
 * while no answer came; with one line for people in error. */
int load_run(const struct load_plan *plan, struct load_result *out_result, struct buf *error);

#endif
