/* As much of JSON (RFC 8259) as requests need: texts that go into it, and the members of a key file.
 * Thread: any; pure. */
#ifndef WORKERS_JSON_H
#define WORKERS_JSON_H

#include <bursar/connector.h>

/* A text as it stands between the quotes of a JSON string. */
struct bursar_text json_escape(const struct bursar_call *call, struct bursar_text text);
/* The same with its quotes. */
struct bursar_text json_quote(const struct bursar_call *call, struct bursar_text text);

/* The text member of a JSON object, what it stands for; absent where there is none. */
struct bursar_text json_member(const struct bursar_call *call, struct bursar_text object,
                               const char *name);

/* A template whose {placeholders} are encoded for where they stand: in a JSON body between quotes, in
 * a form as values. Absent where one is unknown. */
enum json_place { JSON_PLACE_TEXT, JSON_PLACE_JSON, JSON_PLACE_FORM };
struct bursar_text json_fill(const struct bursar_call *call, struct bursar_text text,
                             enum json_place place);
/* By a body's Content-Type. */
enum json_place json_place_of(struct bursar_text content_type);

#endif
