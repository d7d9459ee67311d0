#include "http/address.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

struct range {
    uint8_t prefix[16];
    int bits;
};

/* Special-purpose ranges that are not globally reachable (RFC 6890, RFC 6598, RFC 4193, RFC 4291);
 * translation prefixes too (RFC 6052, RFC 3056), for they reach IPv4 behind them. */
static const struct range private4[] = {
    {{0}, 8},         {{10}, 8},         {{100, 64}, 10},      {{169, 254}, 16},
    {{172, 16}, 12},  {{192, 0, 0}, 24}, {{192, 0, 2}, 24},    {{192, 88, 99}, 24},
    {{192, 168}, 16}, {{198, 18}, 15},   {{198, 51, 100}, 24}, {{203, 0, 113}, 24},
    {{224}, 4},       {{240}, 4},
};
static const struct range private6[] = {
    {{0}, 96},
    {{0, 0x64, 0xff, 0x9b}, 32},
    {{0x01}, 64},
    {{0x20, 0x01, 0x00}, 23},
    {{0x20, 0x01, 0x0d, 0xb8}, 32},
    {{0x20, 0x02}, 16},
    {{0xfc}, 7},
    {{0xfe, 0x80}, 10},
    {{0xfe, 0xc0}, 10},
    {{0xff}, 8},
};

static bool is_in(const uint8_t *address, const struct range *range)
{
    int bytes = range->bits / 8, rest = range->bits % 8;
    uint8_t mask = (uint8_t)(0xff00 >> rest);
    if (memcmp(address, range->prefix, (size_t)bytes) != 0)
        return false;
    return rest == 0 || ((address[bytes] ^ range->prefix[bytes]) & mask) == 0;
}

static enum address_class class4(const uint8_t *address)
{
    if (address[0] == 127)
        return ADDRESS_LOOPBACK;
    for (size_t i = 0; i < sizeof private4 / sizeof private4[0]; i++) {
        if (is_in(address, &private4[i]))
            return ADDRESS_PRIVATE;
    }
    return ADDRESS_PUBLIC;
}

static enum address_class class6(const uint8_t *address)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    static const uint8_t loopback[16] = {[15] = 1};
    if (memcmp(address, mapped, sizeof mapped) == 0)
        return class4(address + sizeof mapped);
    if (memcmp(address, loopback, sizeof loopback) == 0)
        return ADDRESS_LOOPBACK;
    for (size_t i = 0; i < sizeof private6 / sizeof private6[0]; i++) {
        if (is_in(address, &private6[i]))
            return ADDRESS_PRIVATE;
    }
    return ADDRESS_PUBLIC;
}

enum address_class address_class_of(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        return class4((const uint8_t *)&in.sin_addr);
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof in6);
        return class6((const uint8_t *)&in6.sin6_addr);
    }
    return ADDRESS_PRIVATE;
}
