/* Replies for people: times with how long from now, fields under each other, colour on terminals.
 * Thread: the program's only one. */
#ifndef CMD_CMD_TEXT_H
#define CMD_CMD_TEXT_H

#include <stdint.h>

#include <jansson.h>

#define CMD_TEXT_TIME_SIZE 112

/* `2025-03-01 14:02:11 (in 12 min)`; at is in seconds, 0 gives `-`. */
void cmd_text_time(int64_t at, int64_t now, char out[static CMD_TEXT_TIME_SIZE]);
/* `12 min`, `3 h`, `5 d`: the largest unit of which there are two or more. */
void cmd_text_duration(int64_t seconds, char out[static 32]);

/* A text as it may go to a terminal: with what is not printable escaped. Borrowed until the eighth
 * next call. "-" for what is no text. */
const char *cmd_text_safe(const json_t *string);
/* The same of a member. */
const char *cmd_text_of(const json_t *object, const char *key);
/* A state in its colour; width pads it. */
void cmd_text_state(const char *state, int width);

/* All members of an object, one a line, what is nested indented. Keys that end in `_at` or `_at_ms`
 * are times. */
void cmd_text_fields(const json_t *object);
/* The same of a whole reply, without what every reply has. Takes those members out of it. */
void cmd_text_answer(json_t *reply);

#endif
