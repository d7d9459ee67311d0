/* What a URL in the configuration must look like.
 * Thread: any; pure. */
#ifndef CONFIG_URL_H
#define CONFIG_URL_H

#include <stdbool.h>

#include "base/text.h"

/* NULL for an absolute https URL (RFC 3986) with a host and without user, password and fragment;
 * http too where it names loopback (127.0.0.0/8, [::1], localhost) and that is allowed. Otherwise
 * what is wrong, as a constant that does not quote the URL. */
const char *url_problem(struct text url, bool allow_http_loopback);

#endif
