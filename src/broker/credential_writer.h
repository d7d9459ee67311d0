/* Writes the replies that carry a credential: unseals, encodes, wipes.
 * Thread: the dispatcher's.
 *
 * The clear text of a stored secret stands in one block of locked memory that is made at start, and is opened
 * once for all replies of one answer, which are packed once where many wait for it. What is vended again is kept as the packed reply, sealed under the key of
 * this process: such a vend opens it where it is sent from, and packs nothing but its `id`. */
#ifndef BROKER_CREDENTIAL_WRITER_H
#define BROKER_CREDENTIAL_WRITER_H

#include "base/buf.h"
#include "broker/message.h"
#include "broker/pending.h"
#include "broker/reply.h"
#include "broker/warm_table.h"
#include "vault/keyring.h"
#include "vault/process_key.h"

struct credential_writer {
    const struct keyring *keyring;
    struct process_key *key; /* of kept replies */
    struct buf plain;        /* what was opened last; empty: nothing */
    struct buf packed; /* the reply without an id that all who wait for the same get; empty: none */
};

/* 0 or BURSAR_E_NOMEM. Borrows the keyring. */
int credential_writer_init(struct credential_writer *writer, const struct keyring *keyring);
void credential_writer_fini(struct credential_writer *writer);
/* Wipes what is open. Must stand between answers about different credentials. */
void credential_close(struct credential_writer *writer);

/* Keeps the reply of one that is vended while it is fresh. NULL where the stored secret does not open, or
 * there is no memory. */
struct kept_reply *credential_keep(struct credential_writer *writer, const struct warm *entry);
/* Its reply to one job. 0, or why there is none; the buffer is of no use then. */
int credential_give(struct credential_writer *writer, struct text id, const struct warm *entry,
                    const struct kept_reply *kept, struct buf *reply);

/* The reply that one who waits gets of an answer. */
void credential_write_answer(struct credential_writer *writer, const struct answer *answer,
                             const struct pending *pending, struct buf *reply);

#endif
