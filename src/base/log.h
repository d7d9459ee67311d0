/* Log lines to standard error: one event with named values, as text or as JSON.
 * Thread: any; each line is one write.
 *
 * There is no format string: the message is a constant and the values are escaped, so that what a
 * peer sends can neither forge a line nor be taken for a format. A line has at most 4096 bytes: longer
 * values are shortened. Nothing here takes a secret. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

struct log_field {
    const char *name; /* NULL ends a list */
    struct text text; /* absent: the number counts */
    int64_t number;
};

#define LOG_S(name, string) ((struct log_field){(name), text_of(string), 0})
#define LOG_T(name, text) ((struct log_field){(name), (text), 0})
#define LOG_I(name, number) ((struct log_field){(name), {NULL, 0}, (number)})

/* LOG(LOG_INFO, "refreshed", LOG_S("connection", id), LOG_I("generation", g)); */
#define LOG(level, message, ...) \
    log_write(level, message,    \
              (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){NULL, {NULL, 0}, 0}})

void log_write(enum log_level level, const char *message, const struct log_field *fields);

/* At any time: both settings are atomic, each on its own. */
void log_set(enum log_level level, enum log_format format);
/* false for an unknown word. */
bool log_level_of(const char *word, enum log_level *out_level);

#endif
