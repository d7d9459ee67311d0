/* Which addresses a request may go to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "http/address.h"

static enum address_class class_of(const char *text)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
        return address_class_of((struct sockaddr *)&in);
    assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    return address_class_of((struct sockaddr *)&in6);
}

static void test_classes(void **state)
{
    static const struct {
        const char *text;
        enum address_class expected;
    } cases[] = {
        {"8.8.8.8", ADDRESS_PUBLIC},
        {"1.1.1.1", ADDRESS_PUBLIC},
        {"11.0.0.1", ADDRESS_PUBLIC},
        {"172.15.255.255", ADDRESS_PUBLIC},
        {"172.32.0.0", ADDRESS_PUBLIC},
        {"100.63.255.255", ADDRESS_PUBLIC},
        {"100.128.0.0", ADDRESS_PUBLIC},
        {"126.255.255.255", ADDRESS_PUBLIC},
        {"223.255.255.255", ADDRESS_PUBLIC},
        {"2a00:1450:4001:800::200e", ADDRESS_PUBLIC},
        {"2606:4700::1111", ADDRESS_PUBLIC},
        {"127.0.0.1", ADDRESS_LOOPBACK},
        {"127.255.255.254", ADDRESS_LOOPBACK},
        {"::1", ADDRESS_LOOPBACK},
        {"::ffff:127.0.0.1", ADDRESS_LOOPBACK},
        {"0.0.0.0", ADDRESS_PRIVATE},
        {"10.1.2.3", ADDRESS_PRIVATE},
        {"100.64.0.1", ADDRESS_PRIVATE},
        {"169.254.169.254", ADDRESS_PRIVATE},
        {"172.16.0.1", ADDRESS_PRIVATE},
        {"172.31.255.255", ADDRESS_PRIVATE},
        {"192.168.0.1", ADDRESS_PRIVATE},
        {"198.18.0.1", ADDRESS_PRIVATE},
        {"198.19.255.255", ADDRESS_PRIVATE},
        {"224.0.0.1", ADDRESS_PRIVATE},
        {"255.255.255.255", ADDRESS_PRIVATE},
        {"::", ADDRESS_PRIVATE},
        {"::ffff:169.254.169.254", ADDRESS_PRIVATE},
        {"::ffff:10.0.0.1", ADDRESS_PRIVATE},
        {"::10.0.0.1", ADDRESS_PRIVATE},
        {"64:ff9b::a9fe:a9fe", ADDRESS_PRIVATE},
        {"2001:db8::1", ADDRESS_PRIVATE},
        {"2002:a9fe:a9fe::1", ADDRESS_PRIVATE},
        {"fc00::1", ADDRESS_PRIVATE},
        {"fdff::1", ADDRESS_PRIVATE},
        {"fe80::1", ADDRESS_PRIVATE},
        {"febf::1", ADDRESS_PRIVATE},
        {"ff02::1", ADDRESS_PRIVATE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (class_of(cases[i].text) != cases[i].expected)
            fail_msg("%s is of class %d", cases[i].text, class_of(cases[i].text));
    }
}

static void test_other_families_are_private(void **state)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    (void)state;
    assert_int_equal(address_class_of((struct sockaddr *)&un), ADDRESS_PRIVATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_other_families_are_private),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
