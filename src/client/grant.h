/* From a reply to a struct bursar_grant.
 * Thread: any. */
#ifndef CLIENT_GRANT_H
#define CLIENT_GRANT_H

#include <bursar/client.h>

#include "wire/tree.h"

/* Copies what the reply says. false without memory; the half of it that was made is the caller's to
 * end. */
bool grant_read(const struct node *reply, struct bursar_grant *out_grant);

#endif
