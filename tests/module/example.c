/* A connector module from its first line to its last: a provider that wants each request for a token to
 * be signed with a shared secret, and gives tokens as
 *
 *     {"ok": true, "session": {"id": "…", "ttl": 600}}    or    {"ok": false, "reason": "locked"}
 *
 * Build it with
 *
 *     cc -shared -fPIC $(pkg-config --cflags bursar) -o example.so example.c
 *
 * and put it into a folder that `connectors: {modules: […]}` names. */
#include <bursar/connector.h>

#include <stdio.h>
#include <string.h>

static const struct bursar_option options[] = {
    {"token_url", BURSAR_OPTION_TEMPLATE, .required = true, .help = "where sessions are made"},
    {"partner", BURSAR_OPTION_STRING, .required = true, .help = "our number with the provider"},
    {"shared_secret", BURSAR_OPTION_SECRET, .required = true,
     .help = "what requests are signed with"},
    {0},
};

static const struct bursar_field form[] = {
    {"user", "User", "text", true, "the account's name"},
    {"pin", "PIN", "password", true, "of the account"},
    {0},
};

static struct bursar_text text_of(const char *string)
{
    return (struct bursar_text){string, strlen(string)};
}

static void emit(const struct bursar_call *call, enum bursar_emit part, const char *name,
                 struct bursar_text value)
{
    if (value.data)
        call->emit(call, part, name, value.data, value.len);
}

/* partner.user.time, by HMAC-SHA256. */
static struct bursar_text signature(const struct bursar_call *call, const char *time)
{
    const struct bursar_text parts[] = {call->setting(call, "partner"), text_of("."),
                                        call->secret(call, "user"), text_of("."), text_of(time)};
    struct bursar_text data = call->join(call, parts, sizeof parts / sizeof parts[0]);
    return call->encode(
        call, BURSAR_HEX,
        call->hmac(call, BURSAR_SHA256, call->setting(call, "shared_secret"), data));
}

static int build(const struct bursar_call *call)
{
    char time[32];
    struct bursar_text url = call->expand(call, call->setting(call, "token_url"), true);
    if (!call->secret(call, "user").data || !call->secret(call, "pin").data)
        return BURSAR_E_NEEDS_REAUTH; /* nothing to make a session of */
    if (!url.data)
        return BURSAR_E_CONFIG; /* a placeholder that nobody filled in */
    snprintf(time, sizeof time, "%lld", (long long)call->now);
    emit(call, BURSAR_REQ_URL, NULL, url);
    emit(call, BURSAR_REQ_JSON, "partner", call->setting(call, "partner"));
    emit(call, BURSAR_REQ_JSON, "user", call->secret(call, "user"));
    emit(call, BURSAR_REQ_JSON, "pin", call->secret(call, "pin"));
    emit(call, BURSAR_REQ_HEADER, "X-Time", text_of(time));
    emit(call, BURSAR_REQ_HEADER, "X-Signature", signature(call, time));
    return 0;
}

static enum bursar_read read_reply(const struct bursar_call *call,
                                   const struct bursar_response *response)
{
    struct bursar_value reason = response->find(response, text_of("$.reason"));
    struct bursar_value id = response->find(response, text_of("$.session.id"));
    struct bursar_value ttl = response->find(response, text_of("$.session.ttl"));
    if (reason.type == BURSAR_VALUE_TEXT) {
        emit(call, BURSAR_OUT_ERROR, NULL, reason.text);
        return BURSAR_READ_ERROR;
    }
    if (!response->holds(response, text_of("$.ok == true")) || id.type != BURSAR_VALUE_TEXT)
        return BURSAR_READ_MALFORMED;
    emit(call, BURSAR_OUT_ACCESS_TOKEN, NULL, id.text);
    emit(call, BURSAR_OUT_EXPIRES, "s", ttl.text);
    return BURSAR_READ_OK;
}

static const struct bursar_connector connector = {
    .abi = BURSAR_CONNECTOR_ABI,
    .kind = "example_session",
    .summary = "sessions of a provider that wants signed requests",
    .flags = BURSAR_CONNECTOR_MINTS,
    .secret_kind = "oauth2",
    .options = options,
    .form = form,
    .exchanges = {[BURSAR_REFRESH] = {build, read_reply}},
};

/* The one name that the daemon asks for. */
bursar_connector_module_fn bursar_connector_module;
__attribute__((visibility("default"))) const struct bursar_connector *bursar_connector_module(void)
{
    return &connector;
}
