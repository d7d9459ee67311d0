/* The contract between bursar and a connector module: how one kind of grant is fetched and read.
 * Thread: any; every function of a module is pure and is called from several threads at once.
 *
 * A module turns (settings, secret, now) into a request and (status, headers, body, now) into an
 * outcome. It opens no socket, reads no file, keeps no state and links nothing of the daemon:
 * what it needs comes in through `struct bursar_call`, what it makes goes out through `emit`.
 * The daemon seals the raw reply and commits it before `read` sees it, decides by the connector's
 * data what a failure means, and commits the new secret before anybody is answered. */
#ifndef BURSAR_CONNECTOR_H
#define BURSAR_CONNECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bursar/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BURSAR_CONNECTOR_ABI 1

/* ---- settings ------------------------------------------------------------------------------ */

enum bursar_option_type {
    BURSAR_OPTION_STRING,
    BURSAR_OPTION_SECRET,  /* text that is kept in locked memory and never printed */
    BURSAR_OPTION_URL,     /* absolute, https (or http on loopback where allowed) */
    BURSAR_OPTION_INTEGER, /* within min and max */
    BURSAR_OPTION_NUMBER,  /* finite, within min and max */
    BURSAR_OPTION_BOOL,
    BURSAR_OPTION_CHOICE, /* one of `choices` */
    BURSAR_OPTION_LIST,   /* of text */
    BURSAR_OPTION_MAP,    /* text to text */
};

/* One key that a provider's entry may have. A table of them ends with a row whose name is NULL. */
struct bursar_option {
    const char *name;
    enum bursar_option_type type;
    bool required;
    const char *choices;      /* "a|b|c" for BURSAR_OPTION_CHOICE */
    const char *default_text; /* as it would be written in YAML; NULL: absent */
    double min, max;          /* for numbers; both 0: no bound */
    const char *help;         /* one line for bursar.yaml(5) and error messages */
};

/* ---- a call -------------------------------------------------------------------------------- */

/* What a module gives out. Each emit copies its bytes; repeating HEADER, FORM and FIELD adds,
 * repeating another one replaces. */
enum bursar_emit {
    /* of a request */
    BURSAR_REQ_METHOD, /* default POST where there is a body, else GET */
    BURSAR_REQ_URL,    /* required */
    BURSAR_REQ_HEADER, /* name, value */
    BURSAR_REQ_FORM,   /* name, value: application/x-www-form-urlencoded body, encoded by bursar */
    BURSAR_REQ_BASIC, /* name = user, value = password: RFC 6749 section 2.3.1, encoded by bursar */
    BURSAR_REQ_BODY,  /* the body as it is; Content-Type comes as a header */
    /* of an outcome */
    BURSAR_OUT_ACCESS_TOKEN,
    BURSAR_OUT_TOKEN_TYPE,
    BURSAR_OUT_REFRESH_TOKEN,      /* absent: the one that was sent stays */
    BURSAR_OUT_SCOPES,             /* space-delimited; absent: as before (RFC 6749 section 5.1) */
    BURSAR_OUT_EXPIRES,            /* text of the number or date as it came; unit by the settings */
    BURSAR_OUT_REFRESH_EXPIRES_IN, /* seconds, text */
    BURSAR_OUT_FIELD,              /* name, value: a further part of the secret */
    BURSAR_OUT_ERROR,              /* the OAuth error code (RFC 6749 section 5.2) or its like */
    BURSAR_OUT_ERROR_TEXT,         /* for people; printable, shortened by bursar */
};

/* Why `read` ends. */
enum bursar_read {
    BURSAR_READ_SECRET,    /* a usable secret was emitted */
    BURSAR_READ_ERROR,     /* the reply says an error: BURSAR_OUT_ERROR was emitted */
    BURSAR_READ_MALFORMED, /* neither: HTML, empty, truncated, not of the expected shape */
};

struct bursar_text {
    const char *data; /* not NUL-terminated; NULL: absent */
    size_t len;
};

/* Everything a module may use. All pointers are borrowed until the function returns. */
struct bursar_call {
    int64_t now; /* seconds since 1970 UTC */

    /* Settings of this provider, by the names of the module's option table. */
    struct bursar_text (*setting)(const struct bursar_call *call, const char *name);
    /* item `index` of a list or map setting; false behind the last one. name is absent in a list. */
    bool (*setting_item)(const struct bursar_call *call, const char *name, size_t index,
                         struct bursar_text *out_name, struct bursar_text *out_value);
    /* A part of the credential that is being refreshed: "refresh_token", "access_token", or the
     * name of one of its further fields. */
    struct bursar_text (*secret)(const struct bursar_call *call, const char *name);
    /* Gives out one part; name is NULL where the part has none. */
    void (*emit)(const struct bursar_call *call, enum bursar_emit part, const char *name,
                 const char *value, size_t value_len);
    void *host; /* the daemon's own */
};

struct bursar_response {
    int status; /* HTTP */
    struct bursar_text content_type;
    struct bursar_text body;
    struct bursar_text (*header)(const struct bursar_response *response, const char *name);
    void *host;
};

/* ---- the descriptor ------------------------------------------------------------------------ */

enum bursar_connector_flags {
    BURSAR_CONNECTOR_REFRESHES = 1, /* has build_refresh and read_refresh */
};

struct bursar_connector {
    uint32_t abi;     /* BURSAR_CONNECTOR_ABI */
    const char *kind; /* `kind:` in the configuration */
    const char *summary;
    unsigned flags;
    const char *secret_kind; /* kind of the secrets it holds: "oauth2", "bearer", …; NULL: any */
    const struct bursar_option *options;
    const struct bursar_option
        *shared_options; /* what an entry under `auth` has besides; or NULL */

    /* The secret that a shared credential begins with, from its settings: the parts of a
     * `credential.put` as BURSAR_OUT_FIELDs, `kind` among them. NULL: the kind has none. 0, or
     * BURSAR_E_CONFIG where the settings name none. */
    int (*seed)(const struct bursar_call *call);

    /* The request that refreshes the secret. 0, or a negative enum bursar_error where the
     * settings and the secret do not allow one (BURSAR_E_NEEDS_REAUTH: nothing to refresh with). */
    int (*build_refresh)(const struct bursar_call *call);
    enum bursar_read (*read_refresh)(const struct bursar_call *call,
                                     const struct bursar_response *response);

    /* The request that ends the grant at the provider (RFC 7009); NULL or
     * BURSAR_E_UNSUPPORTED_OP where there is none. */
    int (*build_revoke)(const struct bursar_call *call);
};

#ifdef __cplusplus
}
#endif
#endif
