/* JSON Web Tokens as their receiver sees them, for tests.
 * Thread: any. */
#ifndef TESTS_CONNECTOR_JWT_CHECK_H
#define TESTS_CONNECTOR_JWT_CHECK_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/text.h"

/* Verifies a compact JWT's signature with the public half of a private key in PEM, and gives its header
 * and claims. */
bool jwt_check(struct text jwt, const char *pem, struct buf *out_header, struct buf *out_claims);

#endif
