/* Keys for tests that are about something else.
 * Thread: the test's. */
#ifndef TESTS_VAULT_FRESH_KEYRING_H
#define TESTS_VAULT_FRESH_KEYRING_H

#include "vault/keyring.h"

/* Gives a keyring with one key that nobody else has; the test fails where there is none. */
struct keyring *fresh_keyring(void);

#endif
