/* Whether a provider takes a secret: the request of the group `validate`, the same for every kind.
 * Thread: any; pure. */
#ifndef WORKERS_VALIDATE_H
#define WORKERS_VALIDATE_H

#include <bursar/connector.h>

/* What kinds without token replies need to read errors; the others have it. */
#define VALIDATE_REPLY_OPTIONS                                                                     \
    {"user_agent", BURSAR_OPTION_STRING, .help = "User-Agent of requests to this provider"},       \
        {"success", BURSAR_OPTION_PREDICATES, .help = "what is true of a reply to a good secret"}, \
        {"error_path", BURSAR_OPTION_PATH, .default_text = "$.error",                              \
         .help = "the error code in a reply"},                                                     \
        {"error_subcode_path", BURSAR_OPTION_PATH, .help = "a further code beside it"},            \
    {                                                                                              \
        "error_text_path", BURSAR_OPTION_PATH, .default_text = "$.error_description | $.message",  \
                                               .help = "the same for people"                       \
    }

/* Where an entry has no `validate`, its identity_url serves; BURSAR_E_UNSUPPORTED_OP without that too. */
int validate_build(const struct bursar_call *call);
/* OK: the provider takes it (BURSAR_OUT_ERROR_TEXT where it is limited just now). ERROR: it does not.
 * MALFORMED: nobody can say. */
enum bursar_read validate_read(const struct bursar_call *call,
                               const struct bursar_response *response);

#endif
