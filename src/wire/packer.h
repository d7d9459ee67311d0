/* msgpack-c's packer, writing into a buffer. A buffer that is full or without memory keeps its error (base/buf.h).
 * Thread: the buffer's owner. */
#ifndef WIRE_PACKER_H
#define WIRE_PACKER_H

#include <msgpack.h>

#include "base/buf.h"

static inline int packer_write(void *data, const char *bytes, size_t len)
{
    struct buf *out = data;
    buf_append(out, bytes, len);
    return buf_error(out);
}

static inline msgpack_packer packer_of(struct buf *out)
{
    msgpack_packer packer;
    msgpack_packer_init(&packer, out, packer_write);
    return packer;
}

#endif
