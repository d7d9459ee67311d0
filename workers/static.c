/* static: a secret that is put once and never refreshed: a bearer token, a header, a password. */
#include <string.h>

#include "validate.h"

static const struct bursar_option options[] = {
    VALIDATE_REPLY_OPTIONS,
    {0},
};

/* One of the three. */
static const struct bursar_option shared_options[] = {
    {"token", BURSAR_OPTION_SECRET, .help = "a bearer token"},
    {"username", BURSAR_OPTION_STRING, .help = "for basic authentication (RFC 7617)"},
    {"password", BURSAR_OPTION_SECRET, .help = "the password of username"},
    {"header", BURSAR_OPTION_MAP, .help = "a header: {name, value}"},
    {0},
};

static void emit(const struct bursar_call *call, const char *name, struct bursar_text value)
{
    call->emit(call, BURSAR_OUT_FIELD, name, value.data, value.len);
}

static void emit_kind(const struct bursar_call *call, const char *kind)
{
    call->emit(call, BURSAR_OUT_FIELD, "kind", kind, strlen(kind));
}

static struct bursar_text item(const struct bursar_call *call, const char *name)
{
    struct bursar_text key, value;
    for (size_t i = 0; call->setting_item(call, "header", i, &key, &value); i++) {
        if (key.len == strlen(name) && memcmp(key.data, name, key.len) == 0)
            return value;
    }
    return (struct bursar_text){NULL, 0};
}

static int seed(const struct bursar_call *call)
{
    struct bursar_text token = call->setting(call, "token");
    struct bursar_text username = call->setting(call, "username");
    struct bursar_text password = call->setting(call, "password");
    struct bursar_text name = item(call, "name"), value = item(call, "value");
    int given = (token.data != NULL) + (username.data || password.data) + (name.data != NULL);
    if (given != 1 || !username.data != !password.data || !name.data != !value.data)
        return BURSAR_E_CONFIG;
    if (token.data) {
        emit_kind(call, "bearer");
        emit(call, "token", token);
    } else if (username.data) {
        emit_kind(call, "basic");
        emit(call, "username", username);
        emit(call, "password", password);
    } else {
        emit_kind(call, "header");
        emit(call, "name", name);
        emit(call, "value", value);
    }
    return 0;
}

const struct bursar_connector bursar_connector_static = {
    .abi = BURSAR_CONNECTOR_ABI,
    .kind = "static",
    .summary = "a secret that is stored as it is and never refreshed",
    .options = options,
    .shared_options = shared_options,
    .seed = seed,
    .exchanges = {[BURSAR_VALIDATE] = {validate_build, validate_read}},
};
