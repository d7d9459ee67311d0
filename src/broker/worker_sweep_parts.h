/* What the files of the sweeps share; worker_sweep.h is what others call.
 * Thread: the worker's. */
#ifndef BROKER_WORKER_SWEEP_PARTS_H
#define BROKER_WORKER_SWEEP_PARTS_H

#include <utlist.h>

#include "broker/worker_parts.h"

#define SWEEP_TEXT_MAX 4096

/* One provider's part of one sweep, until it has ended. Absent texts are empty buffers without data. */
struct sweep_part {
    struct sweep_part *prev, *next; /* by when the sweeps were begun */
    char sweep[SWEEP_ID_SIZE];
    enum sweep_action action;
    bool at_provider;
    uint32_t rate_per_s;
    struct buf provider, owner, tag, principal;
    int64_t vended_since;                  /* with principal */
    struct buf after_owner, after_account; /* where the walk stands */
    struct buf to_owner, to_account;       /* of the batch that is being made */
    bool is_walked;
    bool has_hold;      /* the dispatcher does not answer for it: it hears of the end */
    bool is_busy;       /* a batch is with the store */
    bool is_gone;       /* the sweep has ended: the part goes when nothing of it is under way */
    int64_t walk_at_ms; /* boot time at which the next batch may go */
    /* worker_sweep_ask.c */
    struct buf asked;  /* the last connection whose provider was asked in this round; empty: none */
    unsigned round;    /* so many times all were asked that had not been answered */
    unsigned asking;   /* are with the provider, or with the store */
    unsigned failures; /* in a row */
    int64_t ask_at_ms; /* boot time at which the next may be asked, by the rate */
    int64_t back_at_ms; /* and after failures */
};

/* Asks the provider about what is left to ask. When to come again, boot time. */
int64_t sweep_ask(struct worker *self, struct sweep_part *part, int64_t now_ms);
/* Frees a part that has ended, once nothing of it is under way. */
void sweep_part_settle(struct worker *self, struct sweep_part *part);

#endif
