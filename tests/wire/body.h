/* Bodies for tests, written as JSON.
 * Thread: the buffer's owner. */
#ifndef TESTS_WIRE_BODY_H
#define TESTS_WIRE_BODY_H

#include "base/buf.h"

/* Gives the MessagePack of a JSON text; the test fails where it is not right. Keys that stand twice
 * are kept twice. `"bin:…"` becomes binary. */
struct buf body_of(const char *json);

#endif
