/* Bodies as JSON text, for people and programs without MessagePack.
 * Thread: any; pure but for the buffers, which are their owners'.
 *
 * Nesting is bounded as in tree.h, sizes by the buffers. Whoever gives a secret buffer gets no copy
 * of a secret anywhere else. */
#ifndef WIRE_JSON_H
#define WIRE_JSON_H

#include "base/buf.h"
#include "base/text.h"
#include "wire/tree.h"

/* Appends one JSON value (RFC 8259) as MessagePack. 0, BURSAR_E_BAD_REQUEST for what is not exactly
 * one value, or the error of out; error then has one line without a quotation. Whole numbers beyond
 * 64 bits are refused, others become doubles. */
int json_to_pack(struct text json, struct buf *out, struct buf *error);

/* Appends a value as JSON on one line. Bytes become lower-case hex, what JSON has no form for (not
 * a number, extension types, keys that are not text) null or "". */
void json_from_node(const struct node *node, struct buf *out);

#endif
