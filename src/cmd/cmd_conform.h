/* What the files of `bursar conform` share: a simulator behind a port, and an engine that speaks to it.
 * Thread: the program's only one. */
#ifndef CMD_CMD_CONFORM_H
#define CMD_CMD_CONFORM_H

#include <stddef.h>

#include "cmd/cmd.h"
#include "cmd/cmd_entry.h"
#include "http/engine.h"
#include "sim/conform.h"
#include "sim/server.h"

struct conforming {
    const struct cmd_args *args;
    struct registry *registry;
    struct sim_server *server;
    struct http_engine *engine;
    struct sim sim;
    const struct conform *conform; /* the run that is on */
    size_t count, failed;          /* entries, or deviations */
};

/* 0, or a negative enum bursar_error that was printed. */
int conforming_open(struct conforming *self);
void conforming_close(struct conforming *self);

/* Loads an entry by a word of the command line; errors is then a C string. */
int conforming_load(struct conforming *self, const char *word, struct cmd_entry *out_entry,
                    struct buf *errors);
/* Lets conform run against the provider that `truth` says: all cases, or the deviation of a name. */
int conforming_run(struct conforming *self, struct conform *conform, const struct connector *truth);
int conforming_quirk(struct conforming *self, struct conform *conform,
                     const struct connector *truth, const char *name);

/* cmd_conform_quirks.c */
int conforming_quirks(struct conforming *self, const char *path);

#endif
