/* The jobs that wait for an answer: to whom it goes, and until when.
 * Thread: the dispatcher's. */
#ifndef BROKER_PENDING_H
#define BROKER_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zmq.h>

#include "base/heap.h"
#include "base/text.h"
#include "store/audit.h"
#include "wire/job.h"

#define PENDING_MAX 65536

struct load;

struct pending {
    struct heap_node deadline; /* boot time in ms; first member */
    uint64_t ticket;           /* 0: free */
    zmq_msg_t *envelope;       /* identity and what else came before the body */
    size_t envelope_count;
    struct text id;    /* the job's, packed; NULL: none */
    struct load *load; /* whose principal's it counts as; borrowed */
    bool wants_secret;
    bool may_export;
    bool is_unseen; /* about an owner that it may not see */
    enum job_op op;
    struct audit_row about; /* for the audit log: who asks for what */
    uint32_t next_free;
};

struct pending_table;

struct pending_table *pending_new(void);
void pending_free(struct pending_table *table);

/* Takes the envelope's frames (the array stays the caller's), copies about and the job's id. NULL where PENDING_MAX wait
 * already. */
struct pending *pending_add(struct pending_table *table, zmq_msg_t *envelope, size_t count,
                            const struct job *job, const struct audit_row *about,
                            int64_t deadline_ms);
/* NULL where it was answered already. */
struct pending *pending_find(struct pending_table *table, uint64_t ticket);
/* The one whose deadline is first, or NULL. */
struct pending *pending_first(const struct pending_table *table);
/* Calls for each; the function may remove the one that it gets. */
typedef void pending_fn(void *context, struct pending *pending);
void pending_each(struct pending_table *table, pending_fn *each, void *context);
void pending_remove(struct pending_table *table, struct pending *pending);
/* The job's `id`, packed; absent where it had none. Borrowed until it is removed. */
struct text pending_id(const struct pending *pending);
size_t pending_count(const struct pending_table *table);

#endif
