/* The keys with which a client speaks CURVE on tcp.
 * Thread: any; a finished one is not changed. */
#ifndef CLIENT_CURVE_H
#define CLIENT_CURVE_H

#include <stdbool.h>

#include <bursar/client.h>

struct curve;

/* Copies the options' keys into locked memory; *out_curve is NULL where there are none. 0,
 * BURSAR_E_BAD_REQUEST for one without the other or for what is no key, BURSAR_E_NOMEM, or
 * BURSAR_E_UNSUPPORTED_OP where libzmq has no CURVE. */
int curve_open(const struct bursar_client_options *options, struct curve **out_curve);
/* Wipes them; NULL is fine. */
void curve_close(struct curve *curve);

/* Whether what is connected to endpoint has to speak CURVE: tcp alone. */
bool curve_is_for(const char *endpoint);
/* Before the socket is connected. */
bool curve_use(const struct curve *curve, void *socket);

#endif
