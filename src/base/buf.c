#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

#include "base/secret.h"

enum { FIRST_CAP = 64, FIRST_WHOLE = 256 };

struct buf buf_make(size_t max)
{
    return (struct buf){.max = max};
}

struct buf buf_make_secret(size_t max)
{
    return (struct buf){.max = max, .is_secret = true};
}

static void release(const struct buf *buf)
{
    if (buf->is_secret)
        secret_memory_free(buf->data, buf->touched);
    else
        free(buf->data);
}

void buf_free(struct buf *buf)
{
    release(buf);
    *buf = (struct buf){.max = buf->max, .is_secret = buf->is_secret};
}

void buf_clear(struct buf *buf)
{
    if (buf->is_secret)
        secret_wipe(buf->data, buf->touched);
    if (buf->data)
        buf->data[0] = 0;
    buf->touched = buf->data ? 1 : 0;
    buf->len = 0;
    buf->error = 0;
}

void buf_truncate(struct buf *buf, size_t len)
{
    assert(len <= buf->len);
    if (buf->is_secret && buf->data)
        secret_wipe(buf->data + len, buf->len - len);
    if (buf->data)
        buf->data[len] = 0;
    buf->len = len;
    buf->error = 0;
}

/* Memory for cap bytes with what is there now; false leaves the buffer as it was. */
static bool move_to(struct buf *buf, size_t cap)
{
    uint8_t *data;
    if (buf->is_secret) {
        data = secret_memory_new(cap);
        if (data && buf->len > 0)
            memcpy(data, buf->data, buf->len);
        if (data)
            release(buf);
    } else {
        data = realloc(buf->data, cap);
    }
    if (!data)
        return false;
    buf->data = data;
    buf->cap = cap;
    return true;
}

bool buf_make_room(struct buf *buf, size_t len)
{
    if (buf->error != 0)
        return false;
    if (len > buf->max - buf->len || len >= SIZE_MAX / 4 - buf->len) {
        buf->error = BURSAR_E_TOO_BIG;
        return false;
    }
    size_t need = buf->len + len + 1; /* far from the end of size_t: doubling comes to an end */
    if (need > buf->cap) {
        /* What is large at once mostly stays as it is, and grows from there where it does not. */
        size_t cap = buf->cap > 0 ? buf->cap : need > FIRST_WHOLE ? need : FIRST_CAP;
        while (cap < need)
            cap *= 2;
        if (!move_to(buf, cap)) {
            buf->error = BURSAR_E_NOMEM;
            return false;
        }
    }
    return true;
}

static void touch(struct buf *buf, size_t end)
{
    if (buf->touched < end)
        buf->touched = end;
}

uint8_t *buf_reserve(struct buf *buf, size_t len)
{
    if (!buf_make_room(buf, len))
        return NULL;
    touch(buf, buf->len + len + 1);
    return buf->data + buf->len;
}

void buf_added(struct buf *buf, size_t len)
{
    assert(buf->len + len < buf->cap);
    buf->len += len;
    buf->data[buf->len] = 0;
    touch(buf, buf->len + 1);
}

void buf_append(struct buf *buf, const void *data, size_t len)
{
    /* There is room most of the time: a reply is made of forty pieces. */
    bool fits = buf->error == 0 && len < buf->cap - buf->len && len <= buf->max - buf->len;
    uint8_t *to = fits ? buf->data + buf->len : buf_reserve(buf, len);
    if (!to)
        return;
    if (len > 0)
        memcpy(to, data, len);
    buf_added(buf, len);
}

void buf_append_text(struct buf *buf, struct text text)
{
    buf_append(buf, text.data, text.len);
}

void buf_append_string(struct buf *buf, const char *string)
{
    buf_append(buf, string, strlen(string));
}

void buf_append_byte(struct buf *buf, uint8_t byte)
{
    buf_append(buf, &byte, 1);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0) {
        buf->error = BURSAR_E_INTERNAL;
        return;
    }
    uint8_t *to = buf_reserve(buf, (size_t)len);
    if (!to)
        return;
    va_start(args, format);
    vsnprintf((char *)to, (size_t)len + 1, format, args);
    va_end(args);
    buf_added(buf, (size_t)len);
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static size_t unreserved_len(struct text text)
{
    size_t len = 0;
    while (len < text.len && is_unreserved(text.data[len]))
        len++;
    return len;
}

static void append_escaped(struct buf *buf, struct text text, bool plus_for_space)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        size_t run = unreserved_len((struct text){text.data + i, text.len - i});
        if (run > 0) {
            buf_append(buf, text.data + i, run);
            i += run - 1;
        } else if (c == ' ' && plus_for_space) {
            buf_append_byte(buf, '+');
        } else {
            char escaped[3] = {'%', hex[(unsigned char)c >> 4], hex[c & 15]};
            buf_append(buf, escaped, sizeof escaped);
        }
    }
}

void buf_append_percent(struct buf *buf, struct text text)
{
    append_escaped(buf, text, false);
}

void buf_append_form(struct buf *buf, struct text text)
{
    append_escaped(buf, text, true);
}

static void append_json_char(struct buf *buf, unsigned char c)
{
    static const char *const short_form[0x20] = {
        ['\b'] = "\\b", ['\f'] = "\\f", ['\n'] = "\\n", ['\r'] = "\\r", ['\t'] = "\\t"};
    if (c == '"' || c == '\\') {
        buf_append_byte(buf, '\\');
        buf_append_byte(buf, c);
    } else if (c >= 0x20 && c != 0x7f) {
        buf_append_byte(buf, c);
    } else if (c < 0x20 && short_form[c]) {
        buf_append_string(buf, short_form[c]);
    } else {
        buf_printf(buf, "\\u%04x", c);
    }
}

/* U+0080 to U+009F: JSON allows them as they are, but terminals take them for commands. */
static bool is_c1_control(const char *p, size_t n)
{
    return n == 2 && (unsigned char)p[0] == 0xc2 && (unsigned char)p[1] < 0xa0;
}

void buf_append_json(struct buf *buf, struct text text)
{
    buf_append_byte(buf, '"');
    for (size_t i = 0; i < text.len;) {
        const char *p = text.data + i;
        size_t n = text_utf8_len((struct text){p, text.len - i});
        if (n == 1)
            append_json_char(buf, (unsigned char)*p);
        else if (is_c1_control(p, n))
            buf_printf(buf, "\\u%04x", (unsigned char)p[1]);
        else if (n > 1)
            buf_append(buf, p, n);
        else
            buf_append_string(buf, "\xef\xbf\xbd");
        i += n > 0 ? n : 1;
    }
    buf_append_byte(buf, '"');
}

int buf_error(const struct buf *buf)
{
    return buf->error;
}

struct text buf_text(const struct buf *buf)
{
    return (struct text){buf->data ? (const char *)buf->data : "", buf->len};
}

char *buf_take_string(struct buf *buf)
{
    assert(!buf->is_secret);
    buf_append(buf, "", 0); /* so that there is memory, and a NUL in it */
    char *string = NULL;
    if (buf->error == 0) {
        string = (char *)buf->data;
        *buf = buf_make(buf->max);
    }
    buf_free(buf);
    return string;
}
