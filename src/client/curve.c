#include "client/curve.h"

#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "base/secret.h"
#include "base/z85.h"

enum { KEY_BYTES = 32 };

/* As zmq_setsockopt() takes them. */
struct curve {
    uint8_t server_public[KEY_BYTES], client_public[KEY_BYTES], client_secret[KEY_BYTES];
};

static bool read_key(const char *z85, uint8_t out[static KEY_BYTES])
{
    return z85_decode(text_of(z85), KEY_BYTES, out);
}

static int derive_public(struct curve *curve, const char *secret_key)
{
    char public_key[BURSAR_CURVE_KEY_SIZE];
    if (zmq_curve_public(public_key, secret_key) != 0)
        return BURSAR_E_UNSUPPORTED_OP;
    return read_key(public_key, curve->client_public) ? 0 : BURSAR_E_INTERNAL;
}

int curve_open(const struct bursar_client_options *options, struct curve **out_curve)
{
    const char *server = options->server_public_key, *own = options->secret_key;
    *out_curve = NULL;
    if (!server && !own)
        return 0;
    if (!server || !own)
        return BURSAR_E_BAD_REQUEST;
    struct curve *curve = secret_memory_new(sizeof *curve);
    if (!curve)
        return BURSAR_E_NOMEM;
    int error = read_key(server, curve->server_public) && read_key(own, curve->client_secret)
                    ? derive_public(curve, own)
                    : BURSAR_E_BAD_REQUEST;
    if (error != 0) {
        curve_close(curve);
        return error;
    }
    *out_curve = curve;
    return 0;
}

void curve_close(struct curve *curve)
{
    secret_memory_free(curve, sizeof *curve);
}

bool curve_is_for(const char *endpoint)
{
    static const char tcp[] = "tcp://";
    return strncmp(endpoint, tcp, sizeof tcp - 1) == 0;
}

bool curve_use(const struct curve *curve, void *socket)
{
    return zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, curve->server_public, KEY_BYTES) == 0 &&
           zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, curve->client_public, KEY_BYTES) == 0 &&
           zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, curve->client_secret, KEY_BYTES) == 0;
}
