/* Which addresses a request may go to.
 * Thread: any; pure functions. */
#ifndef HTTP_ADDRESS_H
#define HTTP_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

enum address_class {
    ADDRESS_PUBLIC,
    ADDRESS_LOOPBACK, /* 127.0.0.0/8, ::1, and the same mapped into IPv6 */
    ADDRESS_PRIVATE,  /* reserved for special purposes: RFC 6890 and what it registers */
};

/* Everything that is neither IPv4 nor IPv6 is private. */
enum address_class address_class_of(const struct sockaddr *address);

#endif
