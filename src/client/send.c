#include <bursar/client.h>

#include "client/failure.h"

enum { HTTP_UNAUTHORIZED = 401 };

static bool is_refusal(const struct bursar_send_options *options, int status)
{
    bool is_one = status == HTTP_UNAUTHORIZED;
    for (size_t i = 0; !is_one && i < options->refusal_count; i++)
        is_one = options->refusals[i] == status;
    return is_one;
}

static bool is_cancelled(const struct bursar_send_options *options, void *data)
{
    return options->is_cancelled && options->is_cancelled(data);
}

/* In place of what was refused, what is current now. */
static int renew(struct bursar_source *source, struct bursar_grant *grant,
                 struct bursar_failure *out_failure)
{
    int error = bursar_source_invalidate(source, grant, out_failure);
    if (error != 0)
        return error;
    bursar_grant_free(grant);
    return bursar_source_current(source, grant, out_failure);
}

int bursar_send(struct bursar_source *source, bursar_send_fn *send, void *data,
                const struct bursar_send_options *options, struct bursar_sent *out_sent,
                struct bursar_failure *out_failure)
{
    static const struct bursar_send_options none = {0};
    const struct bursar_send_options *given = options ? options : &none;
    struct bursar_grant grant = {0};
    *out_sent = (struct bursar_sent){.is_resent = given->is_resent};
    int error = bursar_source_current(source, &grant, out_failure);
    if (error != 0)
        return error;
    out_sent->status = send(data, &grant);
    bool is_again =
        is_refusal(given, out_sent->status) && !given->is_resent && !is_cancelled(given, data);
    if (is_again)
        error = renew(source, &grant, out_failure);
    if (is_again && error == 0 && !is_cancelled(given, data)) {
        out_sent->is_resent = true;
        out_sent->status = send(data, &grant);
    }
    bursar_grant_free(&grant);
    return error;
}
