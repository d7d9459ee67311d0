#include "kinds.h"

#include <string.h>

#define OPTION(key, kind, ...)                                                     \
    {                                                                              \
        .name = (key), .type = BURSAR_OPTION_##kind, .help = "a test", __VA_ARGS__ \
    }

static const struct bursar_option common[] = {
    OPTION("kind", STRING, .required = true),
    OPTION("display_name", STRING),
    OPTION("docs_url", URL),
    OPTION("refresh_lead_s", INTEGER, .default_text = "300", .max = 86400),
    OPTION("expiry_ratio", NUMBER, .default_text = "0.9", .min = 1e-9, .max = 1),
    OPTION("timeout_s", NUMBER, .default_text = "30", .min = 0.1, .max = 600),
    OPTION("connect_timeout_s", NUMBER, .default_text = "5", .min = 0.1, .max = 120),
    OPTION("default_ttl_s", INTEGER, .min = 1, .max = 315360000),
    OPTION("rotation", CHOICE, .choices = "none|reuse_grace|strict|unknown",
           .default_text = "unknown"),
    OPTION("reauth_errors", LIST, .default_text = "[invalid_grant]"),
    OPTION(NULL, STRING),
};

static const struct bursar_option oauth2_refresh[] = {
    OPTION("token_url", URL, .required = true),
    OPTION("client_id", STRING, .required = true),
    OPTION("client_secret", SECRET),
    OPTION("client_auth", CHOICE, .choices = "client_secret_basic|client_secret_post|none",
           .default_text = "client_secret_basic"),
    OPTION("scopes", LIST),
    OPTION("headers", MAP),
    OPTION("pkce", BOOL, .default_text = "true"),
    OPTION(NULL, STRING),
};

static const struct bursar_option static_kind[] = {
    OPTION("token", SECRET), OPTION("username", STRING), OPTION("password", SECRET),
    OPTION("header", MAP),   OPTION(NULL, STRING),
};

static const struct bursar_option *options_of(const struct config_kinds *self, const char *kind)
{
    (void)self;
    if (strcmp(kind, "oauth2_refresh") == 0)
        return oauth2_refresh;
    return strcmp(kind, "static") == 0 ? static_kind : NULL;
}

static const char *const kinds[] = {"oauth2_refresh", "static", NULL};

const struct config_kinds test_kinds = {.common = common, .kinds = kinds, .options_of = options_of};
