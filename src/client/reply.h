/* Bodies on their way out, and replies as they come in.
 * Thread: the owner of the link and of the reply.
 *
 * All goes through libzmq's memory, which is not locked: what was sent is wiped when it has gone
 * out, what came when the reply ends. */
#ifndef CLIENT_REPLY_H
#define CLIENT_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include <zmq.h>

#include <bursar/client.h>

#include "client/link.h"
#include "wire/tree.h"

/* How much longer than its deadline a job is waited for, so that the daemon's own word on a passed
 * deadline still arrives. */
#define REPLY_GRACE_MS 500

/* All-zero: none. Not to be copied: a short message lies inside its zmq_msg_t. */
struct reply {
    zmq_msg_t message; /* what the tree points into */
    bool has_message;
    struct tree *tree;
    const struct node *root; /* NULL: no reply came */
};

/* Sends a copy, without waiting. 0, BURSAR_E_NO_DAEMON where the link takes nothing now,
 * BURSAR_E_NOMEM or BURSAR_E_IO. */
int reply_ask(struct link *link, struct text body);
/* Takes the next reply from the link, without waiting; an earlier one is wiped. 0,
 * BURSAR_E_DEADLINE_EXCEEDED where none is there, BURSAR_E_BAD_REPLY for what is none,
 * BURSAR_E_NOMEM or BURSAR_E_IO; root is NULL then. */
int reply_take(struct reply *reply, struct link *link);
/* The job that it answers; 0 where the daemon could not read the job and so echoes no id. */
uint64_t reply_id(const struct reply *reply);
/* 0 for a reply with `ok`; else the error that it tells, with out_failure filled. */
int reply_error(const struct reply *reply, struct bursar_failure *out_failure);
/* The whole of it as one line of JSON; NULL without memory. bursar_text_free() ends it. */
char *reply_json(const struct reply *reply);
/* Wipes the message and keeps the tree's memory for the next one. */
void reply_clear(struct reply *reply);
/* Wipes all; one that never came is fine. */
void reply_end(struct reply *reply);

#endif
