/* What the broker's threads send each other. Every message has one owner at a time.
 * Thread: the message's owner. */
#ifndef BROKER_MESSAGE_H
#define BROKER_MESSAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/id.h"
#include "base/mailbox.h"
#include "broker/principals.h"
#include "store/store.h"
#include "wire/job.h"

enum message_type {
    MESSAGE_REQUEST,    /* dispatcher -> worker, query: struct request */
    MESSAGE_ANSWER,     /* worker, query -> dispatcher: struct answer */
    MESSAGE_WRITE,      /* worker, query, dispatcher -> store -> the same: struct write_message */
    MESSAGE_EVENTS,     /* store -> publisher: struct events_message */
    MESSAGE_START,      /* all is up: what is due may be begun: struct message */
    MESSAGE_SWEEP,      /* query -> workers: a sweep was begun or cancelled: struct sweep_message;
                           worker -> query: a part has ended: the same */
    MESSAGE_HOLD,       /* query, worker -> dispatcher: struct hold_message */
    MESSAGE_PRINCIPALS, /* query -> publisher -> zap -> dispatcher: struct principals_message */
    MESSAGE_RELOAD,     /* main -> query: struct reload_message */
    MESSAGE_KEYS,       /* query -> workers, dispatcher -> query: struct keys_message */
    MESSAGE_DRAIN,      /* end what is under way, begin nothing: struct message */
    MESSAGE_DRAINED,    /* the answer to it: struct message */
    MESSAGE_STOP,       /* end now: struct message */
};

struct message {
    struct mail mail;
    enum message_type type;
};
struct message *message_new(enum message_type type); /* free() ends it */

/* ---- who caused it ------------------------------------------------------------------------------ */

/* Whose job something is, for the audit log; one block, free() ends it. */
struct origin {
    struct audit_origin audit;
    char bytes[];
};
struct origin *origin_new(const struct audit_origin *audit);
struct origin *origin_copy(const struct origin *origin); /* NULL of NULL */

/* ---- a job on its way to a worker -------------------------------------------------------------- */

#define TICKET_NONE 0 /* nobody waits for the answer */

typedef void put_ended_fn(void *context, int result);

struct request {
    struct message message;
    uint64_t ticket;
    int64_t deadline_ms;       /* boot time */
    struct text body;          /* lies behind the request, or in `secret` */
    struct buf secret;         /* the body where it is one, of a put; else empty */
    struct job_reader *reader; /* NULL: the job needs none */
    struct job job;            /* borrows from body and reader */
    bool may_export;
    struct principals *principals;     /* held; NULL: the broker's own work */
    const struct principal *principal; /* who asks, of principals */
    char peer[PEER_MAX];               /* and from where */
    struct origin *origin;             /* the same for the audit log; NULL: the broker's own work */
    atomic_uint_fast64_t *counted;     /* one less when it ends; NULL: none */
    /* The worker's: */
    struct request *next; /* among those that wait for one flight */
    bool has_waited;      /* for a flight; wait_error is how that ended */
    bool wants_record;    /* a put is answered with the record */
    bool is_invalidated;  /* its own invalidation is committed */
    int wait_error;
    int64_t retry_after_ms;
    unsigned tries;
    /* Of a put of what a consent brought: the consent, and who is told how the put ended. */
    bool has_hint;
    int64_t hinted_at;   /* when the issuer wants to be asked for the next secret */
    struct text consent; /* borrows from whoever is told */
    put_ended_fn *ended; /* NULL: nobody */
    void *context;
};
/* Copies the body (into locked memory where it is secret) and decodes it. NULL without memory. */
struct request *request_new(struct text body, bool is_secret, uint64_t ticket, int64_t deadline_ms);
/* The same with what was decoded already, as far as it does not have to be done again. */
struct request *request_of_job(const struct job *job, struct text body, bool is_secret,
                               uint64_t ticket, int64_t deadline_ms);
void request_free(struct request *request);
void request_free_all(struct request *first); /* and what comes `next` */

/* Those that wait for their turn, the oldest first. Zero: nobody. */
struct request_queue {
    struct request *first, *last;
};
void request_queue_add(struct request_queue *queue, struct request *request);
/* NULL: nobody waits. */
struct request *request_queue_take(struct request_queue *queue);

/* ---- a secret that may be answered from memory --------------------------------------------------- */

/* A connection with its sealed secret, as the warm table keeps it. One block; free() ends it. */
struct warm {
    struct text owner, id, provider, account, kind, secret; /* secret: sealed */
    uint64_t generation;
    int64_t expires_at, due_at; /* seconds since 1970, EXPIRY_NEVER */
    int64_t issued_at;          /* the same; 0: not known */
};
struct warm *warm_of_row(const struct conn_row *row);
struct warm *warm_copy(const struct warm *warm);

/* ---- an answer ----------------------------------------------------------------------------------- */

struct answer {
    struct message message;
    uint64_t *tickets; /* who gets it */
    size_t ticket_count;
    int error;                 /* 0, or the refusal */
    struct buf text;           /* of a refusal; empty: the error's own text */
    int64_t retry_after_ms;    /* of a refusal; 0: not said */
    struct buf provider_error; /* of a refusal; empty: none */
    struct buf body;           /* of success: a packed map whose pairs go into the reply (secret) */
    struct warm *entry;        /* of success with a credential */
    struct warm *given;        /* of success whose body holds one: which, for the audit log */
    bool is_stale;
    const char *refresh_state; /* constant */
    struct buf last_error;     /* empty: none */
    struct buf grant;          /* sealed; only for who may have the refresh token */
    /* In any case: what the warm table forgets before the answer and learns after it. */
    char forget[ID_SIZE]; /* empty: nothing */
    enum warm_use { WARM_NOT, WARM_IF_KNOWN, WARM_YES } keep;
};
/* ticket may be TICKET_NONE. */
struct answer *answer_new(uint64_t ticket);
void answer_free(struct answer *answer);
void answer_add_ticket(struct answer *answer, uint64_t ticket);

/* ---- a change on its way to the store ------------------------------------------------------------ */

struct write_message;
typedef void write_done_fn(void *context, struct write_message *message); /* takes the message */

struct write_message {
    struct message message;
    struct store_change change;
    struct mailbox *reply_to;
    write_done_fn *done; /* called by the receiver of the reply */
    void *context;
    char connection[ID_SIZE]; /* what change.connection points to */
    struct kept_text *kept;   /* what the other texts of the change point to */
    struct buf secret, grant; /* sealed blobs that the change points to */
    struct request *request;  /* whose job it is; NULL: nobody's */
    void *own;                /* what else the change points to; free() ends it */
};
struct write_message *write_new(enum change_type type, struct text connection);
void write_free(struct write_message *message);
/* Copies a text into the message, where it stays until write_free(). */
struct text write_keep(struct write_message *message, struct text text);

/* ---- a sweep that was begun, cancelled or ended --------------------------------------------------- */

struct sweep_message {
    struct message message;
    char sweep[SWEEP_ID_SIZE]; /* empty: any may have changed */
    struct text provider;      /* the begun part's; kept behind the message, absent without one */
    bool has_hold;             /* a freeze has begun: one dispatcher_hold(-1) is owed for it */
};
/* free() ends it. */
struct sweep_message *sweep_message_new(struct text sweep, struct text provider, bool has_hold);

/* ---- a provider whose connections are not answered from memory ------------------------------------ */

struct hold_message {
    struct message message;
    size_t worker; /* its index in the broker */
    int change;    /* 1: one more reason, -1: one less */
};

/* ---- who may speak, from now on ---------------------------------------------------------------------- */

/* Goes from one to the next: when it has reached the dispatcher all of them decide by the new set, and
 * then who asked for the change is told so. */
struct principals_message {
    struct message message;
    struct principals *principals; /* one hold for each that it still comes to */
    struct answer *answer;         /* NULL: nobody waits for it */
};
struct principals_message *principals_message_new(struct principals *principals);
void principals_message_free(struct principals_message *message);

/* The principals of a configuration that was read again. */
struct reload_message {
    struct message message;
    struct principal *items;
    size_t count;
};
void reload_message_free(struct reload_message *message);

/* ---- another key is active --------------------------------------------------------------------------- */

/* Goes to a thread that holds sealed blobs, which wraps them under the keys that are active now or forgets
 * them, and comes back. */
struct keys_message {
    struct message message;
    struct mailbox *reply_to;
};

/* ---- committed events ------------------------------------------------------------------------------ */

struct events_message {
    struct message message;
    struct buf bytes; /* topics and bodies one after the other */
    struct store_event *events;
    size_t count;
    uint64_t last_seq;
};
struct events_message *events_of_batch(const struct store_batch *batch);
void events_free(struct events_message *message);

#endif
