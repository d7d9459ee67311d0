/* What the two files of `bursar import` share.
 * Thread: the program's only one. */
#ifndef CMD_CMD_IMPORT_H
#define CMD_CMD_IMPORT_H

#include <stddef.h>

#include <jansson.h>

#include <bursar/client.h>

#include "base/buf.h"
#include "cmd/cmd.h"

/* What became of a line. */
enum import_result {
    IMPORT_MADE,     /* the connection is here, for the first time or anew */
    IMPORT_THERE,    /* it was here already, and was left as it is */
    IMPORT_HELD,     /* it is here, and waits for its hand-over */
    IMPORT_TAKEN,    /* handed over */
    IMPORT_SPENT,    /* the provider refuses the grant: somebody else has spent or ended it */
    IMPORT_IN_DOUBT, /* the provider's reply was lost */
    IMPORT_LATER,    /* not now; it is held still */
    IMPORT_FAILED,
    IMPORT_RESULT_COUNT
};

struct import {
    const struct cmd_args *args;
    struct bursar_client *client;
    bool replaces; /* what is there may be replaced */
    bool refuses;  /* what is there is a failure */
    bool holds;    /* all is FROZEN from the start */
    bool tells;    /* every line, and not only what went wrong */
    bool is_shown; /* how far it is */
    size_t counts[IMPORT_RESULT_COUNT];
    struct buf key; /* that opens sealed lines; empty: none */
    bool is_ended;  /* nobody answers any more */
};

/* A job whose reply is root (json_decref() ends it; NULL after an error). Takes request. */
int import_ask(struct import *import, const char *op, json_t *request, json_t **out_root,
               struct bursar_failure *out_failure);
/* The record of the connection that a put's request names; NULL where there is none. */
json_t *import_record(struct import *import, const json_t *put, struct bursar_failure *out_failure);
/* A request with the same name. */
json_t *import_named(const json_t *put);
/* Whether a record's state is this, and (where not NULL) its reason that. */
bool import_is(const json_t *record, const char *state, const char *reason);

/* cmd_import_take.c: ends the hold of one connection: refreshed once, and let go. words is filled with
 * what there is to say. */
enum import_result import_take(struct import *import, const json_t *put, char *words, size_t size);

#endif
