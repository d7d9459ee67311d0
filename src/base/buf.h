/* A growing byte buffer that cannot be made without its maximum.
 * Thread: its owner.
 *
 * Appends after a failure do nothing: a builder appends all it has and asks once at the end with
 * buf_error(). A secret buffer lives in locked memory and is wiped when it moves or ends. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct buf {
    uint8_t *data; /* NUL-terminated behind len once anything was appended */
    size_t len;
    size_t cap;
    size_t max;     /* bytes; len never passes it */
    size_t touched; /* so many of cap may have been written: what is wiped */
    int error;      /* 0, BURSAR_E_NOMEM or BURSAR_E_TOO_BIG */
    bool is_secret;
};

/* Makes an empty buffer; no memory is taken before the first append. */
struct buf buf_make(size_t max);
struct buf buf_make_secret(size_t max);
/* Ends it; an all-zero buffer is fine. */
void buf_free(struct buf *buf);
/* Forgets the content and the error, keeps the memory (wiped where secret). */
void buf_clear(struct buf *buf);
/* Forgets what stands behind the first len bytes, and the error; len is at most what there is. */
void buf_truncate(struct buf *buf, size_t len);

void buf_append(struct buf *buf, const void *data, size_t len);
void buf_append_text(struct buf *buf, struct text text);
void buf_append_string(struct buf *buf, const char *string);
void buf_append_byte(struct buf *buf, uint8_t byte);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Percent-encodes all but unreserved characters (RFC 3986 section 2.3). */
void buf_append_percent(struct buf *buf, struct text text);
/* The same with `+` for a space (application/x-www-form-urlencoded, WHATWG URL section 5.2). */
void buf_append_form(struct buf *buf, struct text text);
/* A JSON string with its quotes (RFC 8259 section 7); bytes that are not UTF-8 become U+FFFD, and no
 * control character stands in it as it is. */
void buf_append_json(struct buf *buf, struct text text);

/* Room for len more bytes, to be filled by the caller and added with buf_added(); NULL on failure. */
uint8_t *buf_reserve(struct buf *buf, size_t len);
/* Takes the memory for len more bytes that are appended later; false on failure. */
bool buf_make_room(struct buf *buf, size_t len);
void buf_added(struct buf *buf, size_t len);

int buf_error(const struct buf *buf);
struct text buf_text(const struct buf *buf);
/* Gives the content as a C string and leaves the buffer empty; NULL on an earlier failure. free()
 * ends it; not for secret buffers. */
char *buf_take_string(struct buf *buf);

#endif
