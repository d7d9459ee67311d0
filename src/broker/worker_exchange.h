/* An exchange with a provider that is no refresh: a code's, a revocation, a validation.
 * Thread: the worker's.
 *
 * Nothing of it is journaled: what it brings is either put into the store as a whole, or lost and done
 * again. */
#ifndef BROKER_WORKER_EXCHANGE_H
#define BROKER_WORKER_EXCHANGE_H

#include "broker/worker_parts.h"

struct exchange;

/* How it ended. Borrowed until the function returns. */
struct exchange_result {
    int error; /* 0: a reply came and was read; else why there is none, or BURSAR_E_* of the build */
    int status;                         /* HTTP; 0: none */
    const struct call_outcome *outcome; /* of the last step; NULL where nothing was read */
    enum verdict_class verdict;         /* of the last reply */
    const char *text;                   /* one printable line on what went wrong */
    struct text url;                    /* of BURSAR_AUTHORIZE: what a person opens */
    const struct call_values *captures; /* what the steps captured */
    const struct http_reply *reply;     /* NULL: none */
};
typedef void exchange_done_fn(void *context, const struct exchange_result *end);

/* Never NULL. What it is about is filled in by its maker: inputs, and the packed maps of a secret, its
 * grant and the connection's metadata, all copied. */
struct exchange *exchange_new(struct worker *self, enum bursar_purpose purpose);
struct call_values *exchange_inputs(struct exchange *exchange);
struct call_values *exchange_captures(struct exchange *exchange);
void exchange_set_secret(struct exchange *exchange, struct text secret, struct text grant,
                         struct text metadata);
/* Takes the exchange; done is called once, perhaps before this returns. */
void exchange_start(struct exchange *exchange, exchange_done_fn *done, void *context);
/* Sends those that wait for the provider's ceilings, as far as these allow. How long until the next one
 * may go; -1: none waits. */
int64_t exchange_run_waiting(struct worker *self, int64_t now_ms);
/* Those that wait are not sent any more: the broker is ending. */
void exchange_end_waiting(struct worker *self);
/* At the end, when the HTTP engine is gone: each hears that the broker is ending. */
void exchange_end_all(struct worker *self);

/* The code and words that a caller gets for an exchange that went wrong. */
int exchange_error(const struct exchange_result *end);

/* One line that says what a provider said; never anything of a secret. */
void exchange_describe(const struct call_outcome *outcome, int status, char *out, size_t size);

/* Takes out of what a reply says of an error whatever repeats a secret: a setting, a part of the
 * credential that is open in self's trees, or one of these values (NULL: none). */
void exchange_hush(struct worker *self, const struct call_values *values,
                   struct call_outcome *outcome);

#endif
