/* Signed requests of OAuth 1.0 (RFC 5849 section 3).
 * Thread: any; pure. */
#ifndef WORKERS_OAUTH1_SIGN_H
#define WORKERS_OAUTH1_SIGN_H

#include <bursar/connector.h>

#define OAUTH1_PARAMS_MAX 32

struct oauth1_param {
    struct bursar_text name, value; /* percent-encoded */
    bool is_header;                 /* stands in Authorization; else in the URL */
};

/* A request that is to be signed. The client comes from the settings client_id, client_secret,
 * private_key, signature_method and realm. */
struct oauth1_request {
    const struct bursar_call *call;
    const char *method;
    struct bursar_text url;          /* with its query */
    struct bursar_text token_secret; /* may be absent */
    struct oauth1_param params[OAUTH1_PARAMS_MAX];
    size_t count;
};

/* A parameter for the Authorization header; absent values are left out. */
void oauth1_param(struct oauth1_request *request, const char *name, struct bursar_text value);
/* Emits URL, method and Authorization. 0, BURSAR_E_CONFIG where the client's settings do not allow a
 * signature, BURSAR_E_TOO_BIG. */
int oauth1_send(struct oauth1_request *request);

#endif
