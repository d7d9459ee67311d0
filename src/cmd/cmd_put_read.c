#include "cmd/cmd_put_read.h"

#include <math.h>
#include <string.h>

#include "base/text.h"

static const int64_t max_life_s = 315360000; /* ten years: what is longer is no expiry */

/* Members that stand beside the secret in a put, wherever they were written. */
static const char *const lifted[] = {"expires_at", "scopes", "expect_generation"};
enum { LIFTED_COUNT = sizeof lifted / sizeof lifted[0] };

static void copy_lifted(const json_t *from, json_t *request)
{
    for (size_t i = 0; i < LIFTED_COUNT; i++) {
        json_t *value = json_object_get(from, lifted[i]);
        if (value)
            json_object_set(request, lifted[i], value);
    }
}

static bool read_wrapped(const json_t *document, json_t *request)
{
    json_object_set(request, "secret", json_object_get(document, "secret"));
    copy_lifted(document, request);
    return true;
}

static bool read_secret(const json_t *document, json_t *request)
{
    json_t *secret = json_copy((json_t *)(uintptr_t)document);
    copy_lifted(document, request);
    for (size_t i = 0; i < LIFTED_COUNT; i++)
        json_object_del(secret, lifted[i]);
    return json_object_set_new(request, "secret", secret) == 0;
}

/* ---- a token endpoint's reply --------------------------------------------------------------- */

/* Seconds as a number or as text, as some providers write it; 0 for what is no life. */
static int64_t life_of(const json_t *value)
{
    uint64_t seconds = 0;
    double number = json_number_value(value);
    if (json_is_string(value) &&
        text_to_uint(text_of(json_string_value(value)), (uint64_t)max_life_s, &seconds))
        return (int64_t)seconds;
    return isfinite(number) && number >= 1 && number <= (double)max_life_s ? (int64_t)number : 0;
}

static void add_expiry(json_t *to, const char *name, const json_t *value, int64_t now)
{
    int64_t life_s = life_of(value);
    if (life_s > 0)
        json_object_set_new(to, name, json_integer(now + life_s));
}

/* RFC 6749 section 3.3: a list with spaces between. */
static void add_scopes(json_t *request, const json_t *scope)
{
    const char *at = json_string_value(scope);
    json_t *scopes = json_array();
    while (at && *at) {
        size_t len = strcspn(at, " ");
        if (len > 0)
            json_array_append_new(scopes, json_stringn(at, len));
        at += len + (at[len] == ' ');
    }
    if (json_array_size(scopes) > 0)
        json_object_set(request, "scopes", scopes);
    json_decref(scopes);
}

static bool is_read(const char *name)
{
    static const char *const names[] = {"access_token",
                                        "refresh_token",
                                        "token_type",
                                        "expires_in",
                                        "scope",
                                        "scopes",
                                        "expires_at",
                                        "expect_generation",
                                        "refresh_token_expires_in",
                                        "refresh_expires_in",
                                        "refresh_token_expires_at"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

static json_t *left_out(const json_t *reply)
{
    json_t *names = json_array();
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)reply, key, value) {
        if (!is_read(key))
            json_array_append_new(names, json_string(key));
    }
    return names;
}

static bool read_token_reply(const json_t *reply, int64_t now, json_t *request)
{
    static const char *const copied[] = {"access_token", "refresh_token",
                                         "refresh_token_expires_at"};
    json_t *secret = json_pack("{s:s}", "kind", "oauth2");
    const json_t *type = json_object_get(reply, "token_type");
    const json_t *refresh_life = json_object_get(reply, "refresh_token_expires_in");
    for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++) {
        json_t *value = json_object_get(reply, copied[i]);
        if (value)
            json_object_set(secret, copied[i], value);
    }
    json_object_set_new(secret, "token_type",
                        json_string(json_is_string(type) ? json_string_value(type) : "Bearer"));
    add_expiry(secret, "refresh_token_expires_at",
               refresh_life ? refresh_life : json_object_get(reply, "refresh_expires_in"), now);
    add_expiry(request, "expires_at", json_object_get(reply, "expires_in"), now);
    add_scopes(request, json_object_get(reply, "scope"));
    copy_lifted(reply, request);
    return json_object_set_new(request, "secret", secret) == 0;
}

bool cmd_put_is_known(const json_t *document)
{
    static const char *const names[] = {"kind", "error", "access_token"};
    if (json_is_object(json_object_get(document, "secret")))
        return true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (json_is_string(json_object_get(document, names[i])))
            return true;
    }
    return false;
}

bool cmd_put_read(const json_t *document, int64_t now, json_t *request, json_t **out_left_out,
                  const char **out_problem)
{
    *out_left_out = NULL;
    *out_problem = "it is none of an object with `secret`, one with `kind`, a token reply with "
                   "`access_token`, or the fields of this provider's form";
    if (json_is_object(json_object_get(document, "secret")))
        return read_wrapped(document, request);
    if (json_is_string(json_object_get(document, "kind")))
        return read_secret(document, request);
    if (json_is_string(json_object_get(document, "error"))) {
        *out_problem = "it is a token endpoint's error, not a token";
        return false;
    }
    if (!json_is_string(json_object_get(document, "access_token")))
        return false;
    *out_left_out = left_out(document);
    return read_token_reply(document, now, request);
}
