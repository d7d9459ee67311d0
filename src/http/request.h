/* From a module's request to the engine's.
 * Thread: any. */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include "connector/call.h"
#include "http/engine.h"

/* Takes what the module made. timeout_ms 0: the provider's own. */
struct http_request http_request_of(struct call_request *made, const struct connector *connector,
                                    long timeout_ms);

#endif
