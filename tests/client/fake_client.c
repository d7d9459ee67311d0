#include "fake_client.h"

#include <stdlib.h>

int fake_client_open(void **state)
{
    struct fake_client *fixture = calloc(1, sizeof *fixture);
    fixture->fake = fake_new();
    struct bursar_client_options options = fake_options(fixture->fake);
    *state = fixture;
    return bursar_client_open(&options, &fixture->client);
}

int fake_client_close(void **state)
{
    struct fake_client *fixture = *state;
    bursar_client_close(fixture->client);
    fake_free(fixture->fake);
    free(fixture);
    return 0;
}
