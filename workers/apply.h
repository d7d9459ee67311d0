/* How a request carries the secret: the rows of `apply`, or what is usual for the secret's kind.
 * Thread: any; pure. */
#ifndef WORKERS_APPLY_H
#define WORKERS_APPLY_H

#include <bursar/connector.h>

/* What `path` rows stand for in URLs, before the URL is made. 0, or BURSAR_E_CONFIG. */
int apply_path(const struct bursar_call *call);
/* Everything else; after the URL. body says where `body` rows go: BURSAR_REQ_FORM, BURSAR_REQ_JSON or,
 * where the body is there already, BURSAR_REQ_BODY: nowhere. A row of something that the secret does
 * not have is left out (another method); 0, or BURSAR_E_CONFIG where none is left. */
int apply_secret(const struct bursar_call *call, enum bursar_emit body);

#endif
