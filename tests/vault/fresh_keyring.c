#include "fresh_keyring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vault/key_set.h"

struct keyring *fresh_keyring(void)
{
    uint8_t id[KEYRING_ID_LEN];
    struct key_set *set = key_set_new(1);
    assert_int_equal(key_set_add_fresh(set, KEY_ACTIVE, TEXT_LITERAL(""), id), 0);
    struct keyring *keyring = keyring_new(set);
    assert_non_null(keyring);
    return keyring;
}
