#include "jwt.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "json.h"

static struct bursar_text text_of(const char *string)
{
    return (struct bursar_text){string, strlen(string)};
}

static struct bursar_text join(const struct bursar_call *call, struct bursar_text a,
                               struct bursar_text b)
{
    const struct bursar_text parts[] = {a, b};
    return call->join(call, parts, 2);
}

struct jwt_claims jwt_claims(const struct bursar_call *call)
{
    return (struct jwt_claims){call, text_of("")};
}

static void add(struct jwt_claims *claims, const char *name, struct bursar_text json)
{
    const struct bursar_text parts[] = {claims->json,
                                        text_of(claims->json.len == 0 ? "{\"" : ",\""),
                                        text_of(name), text_of("\":"), json};
    claims->json = claims->call->join(claims->call, parts, sizeof parts / sizeof parts[0]);
}

void jwt_text(struct jwt_claims *claims, const char *name, struct bursar_text value)
{
    if (!value.data)
        return;
    add(claims, name, json_quote(claims->call, value));
}

void jwt_time(struct jwt_claims *claims, const char *name, int64_t seconds)
{
    char number[32];
    snprintf(number, sizeof number, "%" PRId64, seconds);
    add(claims, name, text_of(number));
}

void jwt_id(struct jwt_claims *claims)
{
    const struct bursar_call *call = claims->call;
    jwt_text(claims, "jti", call->encode(call, BURSAR_BASE64URL, call->random(call, 16)));
}

struct bursar_text jwt_sign(const struct jwt_claims *claims, struct bursar_text algorithm,
                            struct bursar_text key_id, struct bursar_text private_key)
{
    const struct bursar_call *call = claims->call;
    bool is_ec = algorithm.len == 5 && memcmp(algorithm.data, "ES256", 5) == 0;
    struct jwt_claims header = jwt_claims(call);
    jwt_text(&header, "alg", text_of(is_ec ? "ES256" : "RS256"));
    jwt_text(&header, "typ", text_of("JWT"));
    jwt_text(&header, "kid", key_id);
    const struct bursar_text halves[] = {
        call->encode(call, BURSAR_BASE64URL, join(call, header.json, text_of("}"))), text_of("."),
        call->encode(call, BURSAR_BASE64URL, join(call, claims->json, text_of("}")))};
    struct bursar_text input = call->join(call, halves, 3);
    struct bursar_text signature =
        call->sign(call, is_ec ? BURSAR_ES256 : BURSAR_RS256, private_key, input);
    if (!signature.data)
        return signature;
    const struct bursar_text all[] = {input, text_of("."),
                                      call->encode(call, BURSAR_BASE64URL, signature)};
    return call->join(call, all, 3);
}
