/* A consent: what is kept of one while a person decides, and the put of what it brings.
 * Thread: the worker's.
 *
 *     worker_consent_put.c  what is kept, and the put
 *     worker_consent.c  in a browser: connect.begin
 *     worker_complete.c  connect.complete
 *     worker_device.c   on a second device: connect.device, and the polling for its end */
#ifndef BROKER_WORKER_CONSENT_H
#define BROKER_WORKER_CONSENT_H

#include "broker/worker_exchange.h"

#define CONSENT_DIGEST_BYTES 32
#define CONSENT_KEPT_MAX 65536

/* What names a consent in the store: SHA-256 of its state. */
void consent_digest(struct text state, uint8_t out[static CONSENT_DIGEST_BYTES]);

/* Seals what is kept of a consent and hands it to the store. done gets the message; its request and
 * context are the caller's. */
struct consent {
    struct text digest;
    int64_t expires_at; /* seconds since 1970 */
    bool is_device;
    const struct buf *kept; /* a packed map */
};
void consent_keep(struct worker *self, const struct consent *consent, struct request *request,
                  write_done_fn *done, void *context);
/* Takes it out of the store where nothing is to be put. connection and why: the row whose consent was
 * refused, for its record; absent and NULL: none. done NULL: nobody waits for it. */
void consent_drop(struct worker *self, struct text digest, struct text connection, const char *why,
                  write_done_fn *done, void *context);
/* Opens what was kept into self->made_tree; the bytes are in plain. */
int consent_open(struct worker *self, struct text digest, struct text sealed, struct buf *plain);

/* Begins the map of what is kept: whose it will be, the reconnected connection's id, metadata. */
struct pack consent_pack(struct buf *kept, const struct job *job, struct text connection,
                         struct text metadata);

/* What an exchange brought, and for whom. */
struct consent_grant {
    const struct node *kept;     /* a parsed map: owner, account, connection … */
    bool is_other;               /* not the one that `kept` speaks of: its account is its own */
    struct text account;         /* absent, or wins over that of kept */
    const struct node *metadata; /* NULL: that of kept */
    const struct call_outcome *outcome;
    const struct origin *origin; /* who caused it, where the put has no request; NULL: nobody */
    struct text consent;         /* that is taken in the same commit; absent: none */
    put_ended_fn *ended; /* with the context; borrows consent until then; NULL: nobody is told */
    void *context;
};
/* Puts it, and answers the request with the record; request may be NULL: nobody waits. Takes the
 * request. */
void consent_put(struct worker *self, const struct consent_grant *grant, struct request *request);

/* The row of a reconnect, which must be of this provider and owner. 0 or the refusal. */
int consent_find(struct worker *self, const struct job *job, struct conn_row *out_row);
/* The row that a consent is to connect: that of the reconnect, or else that of the account. 0,
 * BURSAR_E_NOT_CONNECTED where there is none yet, or the refusal: what was revoked or frozen takes no
 * new secret, so nobody is asked for one. */
int consent_target(struct worker *self, const struct job *job, struct text account,
                   struct conn_row *out_row);

/* Space-delimited texts of a list of a job; absent where there is none. */
struct text consent_scopes(const struct node *scopes, struct buf *out);

/* Whether a person can consent to what this provider's secrets do; else refuses, and takes the request. */
bool consent_is_possible(struct worker *self, struct request *request);

/* worker_device.c */
void worker_device(struct worker *self, struct request *request); /* takes the request */
void worker_poll_devices(struct worker *self);                    /* those whose time has come */
int worker_resume_devices(struct worker *self);  /* at start; 0 or the store's error */
void worker_forget_devices(struct worker *self); /* at the end */

/* worker_consent.c, worker_complete.c. Take the request. */
void worker_begin_consent(struct worker *self, struct request *request);
void worker_complete_consent(struct worker *self, struct request *request);
void worker_forget_completions(struct worker *self); /* at the end */

/* worker_validate.c: connector.validate. Takes the request. */
void worker_validate(struct worker *self, struct request *request);

#endif
