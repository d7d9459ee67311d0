/* Signed JSON Web Tokens (RFC 7519, RFC 7515 compact form).
 * Thread: any; pure. */
#ifndef WORKERS_JWT_H
#define WORKERS_JWT_H

#include <bursar/connector.h>

/* A JSON object that grows; all of it lives as long as the call. */
struct jwt_claims {
    const struct bursar_call *call;
    struct bursar_text json; /* without its end */
};

struct jwt_claims jwt_claims(const struct bursar_call *call);
/* A text; absent ones are left out. */
void jwt_text(struct jwt_claims *claims, const char *name, struct bursar_text value);
void jwt_time(struct jwt_claims *claims, const char *name, int64_t seconds);
/* A fresh random `jti` (RFC 7519 section 4.1.7). */
void jwt_id(struct jwt_claims *claims);

/* algorithm: RS256 or ES256; key_id may be absent. Absent where the key does not fit. */
struct bursar_text jwt_sign(const struct jwt_claims *claims, struct bursar_text algorithm,
                            struct bursar_text key_id, struct bursar_text private_key);

#endif
