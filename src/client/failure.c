#include "client/failure.h"

#include <string.h>

/* As much of a text as fits, cut between characters; nothing where it is not printable. */
static void copy_text(struct text text, char *out, size_t size)
{
    size_t len = 0;
    if (!text.data || !text_is_printable(text))
        text.len = 0;
    while (len < text.len) {
        size_t n = text_utf8_len((struct text){text.data + len, text.len - len});
        if (len + n >= size)
            break;
        len += n;
    }
    if (len > 0)
        memcpy(out, text.data, len);
    out[len] = 0;
}

int failure_say(struct bursar_failure *out_failure, int error, const char *message)
{
    if (out_failure) {
        *out_failure = (struct bursar_failure){.error = error};
        out_failure->is_retryable = bursar_error_is_retryable(error) || error == BURSAR_E_NO_DAEMON;
        copy_text(text_of(message), out_failure->message, sizeof out_failure->message);
    }
    return error;
}

int bursar_fail(struct bursar_failure *out_failure, int error, const char *message)
{
    return failure_say(out_failure, error, message);
}

int failure_plain(struct bursar_failure *out_failure, int error)
{
    return failure_say(out_failure, error, bursar_error_text(error));
}

int failure_of_link(struct bursar_failure *out_failure, int error, bool has_keys)
{
    if (error != BURSAR_E_BAD_REPLY || !has_keys)
        return failure_plain(out_failure, error);
    return failure_say(out_failure, error,
                       "whoever listens there does not have this server key, or does not speak the "
                       "protocol");
}

int failure_told(struct bursar_failure *out_failure, const struct node *told)
{
    char code[64];
    copy_text(node_text(node_get(told, "code")), code, sizeof code);
    int error = code[0] ? bursar_error_from_code(code) : BURSAR_E_BAD_REPLY;
    if (error == BURSAR_OK)
        error = BURSAR_E_BAD_REPLY;
    failure_plain(out_failure, error);
    if (!out_failure)
        return error;
    uint64_t retry_after_ms = node_uint(node_get(told, "retry_after_ms"));
    const struct node *message = node_get(told, "message");
    if (node_type(message) == NODE_TEXT)
        copy_text(node_text(message), out_failure->message, sizeof out_failure->message);
    copy_text(node_text(node_get(told, "provider_error")), out_failure->provider_error,
              sizeof out_failure->provider_error);
    out_failure->is_retryable = node_bool(node_get(told, "retryable"));
    out_failure->retry_after_ms =
        retry_after_ms < UINT32_MAX ? (uint32_t)retry_after_ms : UINT32_MAX;
    return error;
}
