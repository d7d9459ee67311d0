#include <bursar/client.h>

#include <zmq.h>

int bursar_curve_keypair(char out_public_key[BURSAR_CURVE_KEY_SIZE],
                         char out_secret_key[BURSAR_CURVE_KEY_SIZE])
{
    return zmq_curve_keypair(out_public_key, out_secret_key) == 0 ? BURSAR_OK
                                                                  : BURSAR_E_UNSUPPORTED_OP;
}
