#include "body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <msgpack.h>

enum { BODY_MAX = 1 << 20 };

static int add(void *data, const char *bytes, size_t len)
{
    buf_append(data, bytes, len);
    return buf_error(data);
}

struct reader {
    const char *at;
    msgpack_packer packer;
};

static void value(struct reader *reader);

static void skip_blanks(struct reader *reader)
{
    reader->at += strspn(reader->at, " \n");
}

/* No escapes: what is to be odd is written as it is. */
static void text(struct reader *reader)
{
    const char *begin = ++reader->at;
    const char *end = strchr(begin, '"');
    assert_non_null(end);
    size_t len = (size_t)(end - begin);
    reader->at = end + 1;
    if (strncmp(begin, "bin:", 4) == 0)
        msgpack_pack_bin_with_body(&reader->packer, begin + 4, len - 4);
    else
        msgpack_pack_str_with_body(&reader->packer, begin, len);
}

/* Values between brackets, counted first on a copy of the reader. */
static size_t values_until(struct reader *reader, char close)
{
    size_t count = 0;
    reader->at++;
    for (skip_blanks(reader); *reader->at != close; skip_blanks(reader), count++) {
        value(reader);
        skip_blanks(reader);
        if (*reader->at == ',' || *reader->at == ':')
            reader->at++;
    }
    reader->at++;
    return count;
}

static void container(struct reader *reader)
{
    char close = *reader->at == '[' ? ']' : '}';
    struct buf nowhere = buf_make(BODY_MAX);
    struct reader dry = *reader;
    msgpack_packer_init(&dry.packer, &nowhere, add);
    size_t count = values_until(&dry, close);
    buf_free(&nowhere);
    if (close == ']')
        msgpack_pack_array(&reader->packer, count);
    else
        msgpack_pack_map(&reader->packer, count / 2);
    values_until(reader, close);
}

static void number(struct reader *reader)
{
    char *end;
    size_t len = strspn(reader->at, "0123456789+-.e");
    assert_true(len > 0);
    if (memchr(reader->at, '.', len))
        msgpack_pack_double(&reader->packer, strtod(reader->at, &end));
    else if (*reader->at == '-')
        msgpack_pack_int64(&reader->packer, strtoll(reader->at, &end, 10));
    else
        msgpack_pack_uint64(&reader->packer, strtoull(reader->at, &end, 10));
    assert_ptr_equal(end, reader->at + len);
    reader->at += len;
}

static void value(struct reader *reader)
{
    skip_blanks(reader);
    switch (*reader->at) {
    case '"': text(reader); return;
    case '[':
    case '{': container(reader); return;
    case 'n':
        msgpack_pack_nil(&reader->packer);
        reader->at += 4;
        return;
    case 't':
        msgpack_pack_true(&reader->packer);
        reader->at += 4;
        return;
    case 'f':
        msgpack_pack_false(&reader->packer);
        reader->at += 5;
        return;
    default: number(reader);
    }
}

struct buf body_of(const char *json)
{
    struct buf body = buf_make(BODY_MAX);
    struct reader reader = {.at = json};
    msgpack_packer_init(&reader.packer, &body, add);
    value(&reader);
    skip_blanks(&reader);
    assert_int_equal(*reader.at, 0);
    assert_int_equal(buf_error(&body), 0);
    return body;
}
