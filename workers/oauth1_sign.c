#include "oauth1_sign.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oauth2.h"

/* ---- parameters ----------------------------------------------------------------------------------- */

static struct bursar_text percent(const struct bursar_call *call, struct bursar_text text)
{
    return call->encode(call, BURSAR_PERCENT, text);
}

static void add(struct oauth1_request *request, struct bursar_text name, struct bursar_text value,
                bool is_header)
{
    if (request->count < OAUTH1_PARAMS_MAX)
        request->params[request->count] = (struct oauth1_param){
            percent(request->call, name), percent(request->call, value), is_header};
    request->count++; /* one too many is seen at the end */
}

void oauth1_param(struct oauth1_request *request, const char *name, struct bursar_text value)
{
    if (value.data)
        add(request, oauth2_text(name), value, true);
}

static int hex_value(char c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = c != 0 ? strchr(digits, c) : NULL;
    return found ? (int)((found - digits) % 16) : -1;
}

/* What a piece of a query stands for (section 3.4.1.3.1); `out` has room for it. */
static struct bursar_text decode(const struct bursar_call *call, struct bursar_text text)
{
    char out[2048];
    size_t len = 0;
    for (size_t i = 0; i < text.len && len < sizeof out; i++) {
        int high = text.data[i] == '%' && i + 2 < text.len ? hex_value(text.data[i + 1]) : -1;
        int low = high >= 0 ? hex_value(text.data[i + 2]) : -1;
        out[len++] = low >= 0 ? (char)(high * 16 + low) : text.data[i] == '+' ? ' ' : text.data[i];
        i += low >= 0 ? 2 : 0;
    }
    const struct bursar_text part = {out, len};
    return call->join(call, &part, 1);
}

static void add_query(struct oauth1_request *request, struct bursar_text query)
{
    const struct bursar_call *call = request->call;
    for (size_t i = 0; i < query.len;) {
        const char *end = memchr(query.data + i, '&', query.len - i);
        size_t len = end ? (size_t)(end - query.data) - i : query.len - i;
        const char *equals = memchr(query.data + i, '=', len);
        size_t name_len = equals ? (size_t)(equals - query.data) - i : len;
        struct bursar_text name = {query.data + i, name_len};
        struct bursar_text value = {equals ? equals + 1 : "", equals ? len - name_len - 1 : 0};
        if (len > 0)
            add(request, decode(call, name), decode(call, value), false);
        i += len + 1;
    }
}

static int compare_text(struct bursar_text a, struct bursar_text b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = memcmp(a.data, b.data, len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* Section 3.4.1.3.2: by encoded name, then by encoded value. */
static int by_name(const void *a, const void *b)
{
    const struct oauth1_param *first = a, *second = b;
    int order = compare_text(first->name, second->name);
    return order != 0 ? order : compare_text(first->value, second->value);
}

/* ---- the signature -------------------------------------------------------------------------------- */

static struct bursar_text join_params(const struct oauth1_request *request)
{
    const struct bursar_call *call = request->call;
    struct bursar_text parts[OAUTH1_PARAMS_MAX * 4];
    size_t count = 0;
    for (size_t i = 0; i < request->count; i++) {
        if (i > 0)
            parts[count++] = oauth2_text("&");
        parts[count++] = request->params[i].name;
        parts[count++] = oauth2_text("=");
        parts[count++] = request->params[i].value;
    }
    return call->join(call, parts, count);
}

/* Section 3.4.1.2: scheme and host in lower case, without the port that is usual and the query. */
static struct bursar_text base_uri(const struct bursar_call *call, struct bursar_text url)
{
    char out[2048];
    size_t slashes = 0, len = 0;
    for (size_t i = 0; i < url.len && url.data[i] != '?' && len < sizeof out; i++) {
        char c = url.data[i];
        slashes += c == '/';
        if (slashes < 3 && c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (slashes == 2 && c == ':' && url.len - i >= 4 && memcmp(url.data + i, ":443", 4) == 0 &&
            (url.len - i == 4 || strchr("/?", url.data[i + 4]))) {
            i += 3;
            continue;
        }
        out[len++] = c;
    }
    if (slashes == 2 && len < sizeof out)
        out[len++] = '/';
    const struct bursar_text part = {out, len};
    return call->join(call, &part, 1);
}

static struct bursar_text base_string(const struct oauth1_request *request)
{
    const struct bursar_call *call = request->call;
    const struct bursar_text parts[] = {oauth2_text(request->method), oauth2_text("&"),
                                        percent(call, base_uri(call, request->url)),
                                        oauth2_text("&"), percent(call, join_params(request))};
    return call->join(call, parts, 5);
}

/* Sections 3.4.2 and 3.4.4: both secrets, encoded and joined. */
static struct bursar_text key_of(const struct oauth1_request *request)
{
    const struct bursar_call *call = request->call;
    struct bursar_text secret = call->setting(call, "client_secret");
    const struct bursar_text parts[] = {
        secret.data ? percent(call, secret) : oauth2_text(""), oauth2_text("&"),
        request->token_secret.data ? percent(call, request->token_secret) : oauth2_text("")};
    return call->join(call, parts, 3);
}

static struct bursar_text signature_of(const struct oauth1_request *request)
{
    const struct bursar_call *call = request->call;
    struct bursar_text how = call->setting(call, "signature_method");
    struct bursar_text made;
    if (oauth2_is(how, "PLAINTEXT"))
        return key_of(request);
    if (oauth2_is(how, "RSA-SHA1"))
        made = call->sign(call, BURSAR_RSA_SHA1, call->setting(call, "private_key"),
                          base_string(request));
    else
        made = call->hmac(call, oauth2_is(how, "HMAC-SHA256") ? BURSAR_SHA256 : BURSAR_SHA1,
                          key_of(request), base_string(request));
    return made.data ? call->encode(call, BURSAR_BASE64, made) : made;
}

/* ---- the request ---------------------------------------------------------------------------------- */

/* Section 3.5.1. */
static struct bursar_text header_of(const struct oauth1_request *request)
{
    const struct bursar_call *call = request->call;
    struct bursar_text parts[OAUTH1_PARAMS_MAX * 5 + 4], realm = call->setting(call, "realm");
    size_t count = 0, written = 0;
    parts[count++] = oauth2_text("OAuth ");
    if (realm.data) {
        parts[count++] = oauth2_text("realm=\"");
        parts[count++] = realm;
        parts[count++] = oauth2_text("\"");
        written++;
    }
    for (size_t i = 0; i < request->count; i++) {
        if (!request->params[i].is_header)
            continue;
        parts[count++] = oauth2_text(written++ > 0 ? ", " : "");
        parts[count++] = request->params[i].name;
        parts[count++] = oauth2_text("=\"");
        parts[count++] = request->params[i].value;
        parts[count++] = oauth2_text("\"");
    }
    return call->join(call, parts, count);
}

int oauth1_send(struct oauth1_request *request)
{
    const struct bursar_call *call = request->call;
    const char *question = memchr(request->url.data, '?', request->url.len);
    char now[32];
    snprintf(now, sizeof now, "%" PRId64, call->now);
    oauth1_param(request, "oauth_consumer_key", call->setting(call, "client_id"));
    oauth1_param(request, "oauth_nonce", call->expand(call, oauth2_text("{nonce}"), false));
    oauth1_param(request, "oauth_signature_method", call->setting(call, "signature_method"));
    oauth1_param(request, "oauth_timestamp", oauth2_text(now));
    oauth1_param(request, "oauth_version", call->setting(call, "oauth_version"));
    if (question) {
        size_t at = (size_t)(question - request->url.data) + 1;
        add_query(request, (struct bursar_text){question + 1, request->url.len - at});
    }
    if (request->count >= OAUTH1_PARAMS_MAX)
        return BURSAR_E_TOO_BIG;
    qsort(request->params, request->count, sizeof request->params[0], by_name);
    struct bursar_text signature = signature_of(request);
    if (!signature.data)
        return BURSAR_E_CONFIG;
    oauth1_param(request, "oauth_signature", signature);
    oauth2_emit(call, BURSAR_REQ_URL, NULL, request->url);
    oauth2_emit(call, BURSAR_REQ_METHOD, NULL, oauth2_text(request->method));
    oauth2_emit(call, BURSAR_REQ_HEADER, "Authorization", header_of(request));
    return 0;
}
