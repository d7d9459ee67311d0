/* A consent: what is kept of one while a person decides, and the put of what it brings.
 * Thread: the worker's.
 *
 *     worker_consent_put.c  what is kept, and the put
 *     worker_consent.c  in a browser: connect.begin, connect.complete
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
/* Takes it out of the store, once for whoever comes first. done finds the sealed rest in
 * message->secret where message->change.result is 0. */
void consent_take(struct worker *self, struct text digest, struct request *request,
                  write_done_fn *done, void *context);
/* Opens what was kept into self->made_tree; the bytes are in plain. */
int consent_open(struct worker *self, struct text digest, struct text sealed, struct buf *plain);

/* Begins the map of what is kept: whose it will be, the reconnected connection's id, metadata. */
struct pack consent_pack(struct buf *kept, const struct job *job, struct text connection,
                         struct text metadata);

/* Puts what an exchange brought, for the owner and account of `kept` (a parsed map that is copied from),
 * and answers the request with the record; request may be NULL: nobody waits. account is absent, or
 * wins over that of kept; so with metadata (NULL: that of kept). Takes the request. */
void consent_put(struct worker *self, const struct node *kept, struct text account,
                 const struct node *metadata, const struct call_outcome *outcome,
                 struct request *request);

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

/* worker_consent.c. Take the request. */
void worker_begin_consent(struct worker *self, struct request *request);
void worker_complete_consent(struct worker *self, struct request *request);

/* worker_validate.c: connector.validate. Takes the request. */
void worker_validate(struct worker *self, struct request *request);

#endif
