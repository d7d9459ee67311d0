/* A client of a fake daemon, for a whole test.
 * Thread: the test's. */
#ifndef TESTS_CLIENT_FAKE_CLIENT_H
#define TESTS_CLIENT_FAKE_CLIENT_H

#include <bursar/client.h>

#include "fake.h"

struct fake_client {
    struct fake *fake;
    struct bursar_client *client;
};

/* Of a cmocka test: *state is one. */
int fake_client_open(void **state);
int fake_client_close(void **state);

#endif
