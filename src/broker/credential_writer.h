/* Writes the replies that carry a credential: unseals, encodes, wipes.
 * Thread: the dispatcher's.
 *
 * The clear text stands in one block of locked memory that is made at start, so that a warm vend takes
 * none, and is opened once for all replies of one answer. */
#ifndef BROKER_CREDENTIAL_WRITER_H
#define BROKER_CREDENTIAL_WRITER_H

#include "base/buf.h"
#include "broker/message.h"
#include "broker/pending.h"
#include "broker/reply.h"
#include "vault/keyring.h"

struct credential_writer {
    const struct keyring *keyring;
    struct buf plain; /* what was opened last; empty: nothing */
};

/* 0 or BURSAR_E_NOMEM. Borrows the keyring. */
int credential_writer_init(struct credential_writer *writer, const struct keyring *keyring);
void credential_writer_fini(struct credential_writer *writer);
/* Wipes what is open. Must stand between answers about different credentials. */
void credential_close(struct credential_writer *writer);

/* A vend's reply; credential->secret is filled in here. 0, or why the entry does not open, with nothing
 * written. */
int credential_write(struct credential_writer *writer, struct text id,
                     struct reply_credential *credential, struct buf *reply);

/* The reply that one who waits gets of an answer. */
void credential_write_answer(struct credential_writer *writer, const struct answer *answer,
                             const struct pending *pending, struct buf *reply);

#endif
