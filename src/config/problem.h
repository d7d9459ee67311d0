/* What is wrong with a configuration: collected, ordered by place, printed one a line.
 * Thread: its owner.
 *
 * A message names keys, files and names of secrets. It never quotes a value: any value may be a
 * secret that stands in the wrong place. */
#ifndef CONFIG_PROBLEM_H
#define CONFIG_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/text.h"

/* A place in a file; line and column count from 1, line 0 means the file as a whole. */
struct mark {
    const char *file; /* borrows */
    unsigned line, column;
};

/* The way from the top of a file to a key, as a chain on the stack. */
struct key_path {
    const struct key_path *parent;
    struct text name; /* absent: an item of a list */
    size_t index;
};

struct problem;
struct problems {
    struct problem *items;
    size_t count, cap;
    const char **files; /* borrows */
    size_t file_count;
    bool is_out_of_memory;
};

/* Where a message belongs to. */
struct spot {
    struct problems *problems;
    struct mark mark;
    const struct key_path *path; /* NULL: no key */
};

void problems_free(struct problems *problems);
/* Makes known that a file comes now: messages are ordered by the files first. */
void problems_begin_file(struct problems *problems, const char *file);
/* Only the first thousand are kept; more help nobody. */
void problem_add(struct spot spot, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds `message (did you mean "nearest"?)`, without the question where nearest is NULL. */
void problem_add_nearest(struct spot spot, const char *message, const char *nearest);
/* Appends all lines: file by file in the order in which they began, each by line and column. */
void problems_print(struct problems *problems, struct buf *out);

#endif
