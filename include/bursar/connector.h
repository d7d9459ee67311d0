/* The contract between bursar and a connector module: how one kind of grant is fetched and read.
 * Thread: any; every function of a module is pure and is called from several threads at once.
 *
 * A module turns (settings, secret, now) into a request and (status, headers, body, now) into an
 * outcome. It opens no socket, reads no file, keeps no state and links nothing of the daemon: what it
 * needs comes in through `struct bursar_call`, what it makes goes out through `emit`. A random number,
 * a digest, a signature, a member of a reply are asked of the call too, so a module needs no library.
 *
 * What is done with a provider is an exchange of one purpose (`enum bursar_purpose`): one request and
 * its reply, or several, one after the other. For BURSAR_REFRESH the daemon seals the raw reply and
 * commits it before `read` sees it, decides by the connector's data what a failure means, and commits
 * the new secret before anybody is answered.
 *
 * A loadable module is a shared object that defines `bursar_connector_module` (the end of this
 * page). bursar-connector(7) shows one from its first line to its use. */
#ifndef BURSAR_CONNECTOR_H
#define BURSAR_CONNECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bursar/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BURSAR_CONNECTOR_ABI 2

/* ---- settings ------------------------------------------------------------------------------ */

enum bursar_option_type {
    BURSAR_OPTION_STRING,
    BURSAR_OPTION_SECRET,     /* text that is kept in locked memory and never printed */
    BURSAR_OPTION_URL,        /* absolute, https (or http on loopback where allowed) */
    BURSAR_OPTION_TEMPLATE,   /* the same with {placeholders} */
    BURSAR_OPTION_INTEGER,    /* within min and max */
    BURSAR_OPTION_NUMBER,     /* finite, within min and max */
    BURSAR_OPTION_BOOL,       /* "true" or "false" */
    BURSAR_OPTION_CHOICE,     /* one of `choices` */
    BURSAR_OPTION_PATH,       /* singular queries of JSONPath (RFC 9535), with " | " between */
    BURSAR_OPTION_LIST,       /* of text */
    BURSAR_OPTION_PREDICATES, /* list of `PATH == VALUE`, `PATH != VALUE`, `PATH exists|absent` */
    BURSAR_OPTION_MAP,        /* text to text */
    BURSAR_OPTION_PATHS,      /* text to path */
    BURSAR_OPTION_GROUP, /* a map of the options in `columns`; each is a setting "NAME.COLUMN" */
    BURSAR_OPTION_ROWS,  /* a list of such maps: "NAME.0.COLUMN", "NAME.1.COLUMN" … */
};

/* One key that a provider's entry may have. A table of them ends with a row whose name is NULL. */
struct bursar_option {
    const char *name;
    enum bursar_option_type type;
    bool required;
    const char *choices;                 /* "a|b|c" for BURSAR_OPTION_CHOICE */
    const char *default_text;            /* as it would be written in YAML; NULL: absent */
    double min, max;                     /* for numbers; both 0: no bound */
    const char *help;                    /* one line for bursar.yaml(5) and error messages */
    const struct bursar_option *columns; /* of a group or of rows; neither has groups or rows */
};

/* ---- purposes ------------------------------------------------------------------------------ */

enum bursar_purpose {
    BURSAR_REFRESH, /* a new secret: with the refresh token, or made anew */
    BURSAR_AUTHORIZE, /* the URL that a person opens to consent, built and not sent (with a `read`: what
                         is built for the second step); inputs redirect_uri, state, scopes,
                         code_challenge, code_challenge_method */
    BURSAR_EXCHANGE, /* the first secret, for inputs code, redirect_uri, code_verifier and what
                         else came with the callback */
    BURSAR_DEVICE,   /* RFC 8628 section 3.1; input scopes */
    BURSAR_POLL,     /* RFC 8628 section 3.4; input device_code */
    BURSAR_REVOKE,   /* RFC 7009; the reply is read by the daemon where `read` is NULL */
    BURSAR_VALIDATE, /* whether the provider takes a key */
    BURSAR_IDENTIFY, /* whose the secret is */
    BURSAR_PURPOSE_COUNT
};

/* ---- a call -------------------------------------------------------------------------------- */

/* What a module gives out. Each emit copies its bytes; repeating HEADER, QUERY, FORM, JSON, FIELD,
 * CAPTURE, METADATA, PROBLEM or SECOND adds, repeating another one replaces. */
enum bursar_emit {
    /* of a request */
    BURSAR_REQ_METHOD, /* default POST where there is a body, else GET */
    BURSAR_REQ_URL,    /* required */
    BURSAR_REQ_HEADER, /* name, value */
    BURSAR_REQ_QUERY,  /* name, value: added to the URL, encoded by bursar */
    BURSAR_REQ_FORM,   /* name, value: application/x-www-form-urlencoded body, encoded by bursar */
    BURSAR_REQ_JSON,   /* name, value: a text member of an application/json body */
    BURSAR_REQ_BASIC, /* name = user, value = password: RFC 6749 section 2.3.1, encoded by bursar */
    BURSAR_REQ_BASIC_RAW, /* the same as RFC 7617 has it, without form-encoding */
    BURSAR_REQ_BODY,      /* the body as it is; Content-Type comes as a header */
    BURSAR_REQ_TLS,       /* name = file of a client certificate, value = file of its key, PEM */
    BURSAR_REQ_SIGV4,     /* name = "REGION:SERVICE", value = "ACCESS_KEY:SECRET_KEY": AWS SigV4 */
    /* of an outcome */
    BURSAR_OUT_ACCESS_TOKEN, /* the main part of the secret, whatever its kind */
    BURSAR_OUT_TOKEN_TYPE,
    BURSAR_OUT_REFRESH_TOKEN, /* absent: the one that was sent stays */
    BURSAR_OUT_SCOPES,        /* space-delimited; absent: as before (RFC 6749 section 5.1) */
    BURSAR_OUT_EXPIRES,       /* text of the number or date as it came; name: its unit, or NULL for
                                   that of the settings */
    BURSAR_OUT_REFRESH_EXPIRES, /* the same of the refresh token; NULL: seconds */
    BURSAR_OUT_API_SECRET,      /* second part of a secret of the kind api_key */
    BURSAR_OUT_FIELD,           /* name, value: a further part of the secret */
    BURSAR_OUT_CAPTURE, /* name, value: for the next steps; while a request is built, a value for
                                   its {placeholders} */
    BURSAR_OUT_ERROR,   /* the OAuth error code (RFC 6749 section 5.2) or its like */
    BURSAR_OUT_ERROR_SUBCODE,
    BURSAR_OUT_ERROR_TEXT,  /* for people; printable, shortened by bursar */
    BURSAR_OUT_ACCOUNT,     /* whose it is, as the provider numbers accounts */
    BURSAR_OUT_USERNAME,    /* the same for people */
    BURSAR_OUT_METADATA,    /* name, value: what else the provider says of the account */
    BURSAR_OUT_DEVICE_CODE, /* RFC 8628 section 3.2 */
    BURSAR_OUT_USER_CODE,
    BURSAR_OUT_VERIFICATION_URI,
    BURSAR_OUT_VERIFICATION_URI_COMPLETE,
    BURSAR_OUT_INTERVAL, /* seconds, text */
    BURSAR_OUT_PROBLEM,  /* of `check`: name = the key, value = what is wrong with it */
    BURSAR_OUT_SECOND, /* of BURSAR_EXCHANGE: a part of another grant that came with the first and is to
                            be a connection of its own; name: access_token, account (both needed),
                            refresh_token, token_type, expires, scopes */
    BURSAR_OUT_REFRESH_AT, /* when the issuer wants to be asked for the next one; name as of EXPIRES,
                              NULL: as refresh_at_unit has it */
};

/* Why `read` ends. */
enum bursar_read {
    BURSAR_READ_OK,        /* what the purpose wants was emitted */
    BURSAR_READ_ERROR,     /* the reply says an error: BURSAR_OUT_ERROR was emitted */
    BURSAR_READ_MALFORMED, /* neither: HTML, empty, truncated, not of the expected shape */
    BURSAR_READ_NEXT,      /* as far as it goes: the next step is to be built */
    BURSAR_READ_PENDING, /* of BURSAR_POLL: not yet; error `slow_down` makes the interval longer */
};

struct bursar_text {
    const char *data; /* not NUL-terminated; NULL: absent */
    size_t len;
};

enum bursar_hash { BURSAR_SHA1, BURSAR_SHA256, BURSAR_SHA512 };
enum bursar_sign {
    BURSAR_RS256,   /* RFC 7518 section 3.3 */
    BURSAR_ES256,   /* RFC 7518 section 3.4: r and s, 64 bytes */
    BURSAR_RSA_SHA1 /* RFC 5849 section 3.4.3 */
};
enum bursar_encoding {
    BURSAR_BASE64,
    BURSAR_BASE64URL, /* without padding */
    BURSAR_HEX,       /* lower case */
    BURSAR_PERCENT,   /* RFC 3986 unreserved characters stay */
};

enum bursar_value_type {
    BURSAR_VALUE_ABSENT,
    BURSAR_VALUE_NULL,
    BURSAR_VALUE_FALSE,
    BURSAR_VALUE_TRUE,
    BURSAR_VALUE_NUMBER, /* its text is the number as it was written */
    BURSAR_VALUE_TEXT,
    BURSAR_VALUE_LIST,
    BURSAR_VALUE_MAP,
};
struct bursar_value {
    enum bursar_value_type type;
    struct bursar_text text; /* of a text or number */
    size_t count;            /* items of a list */
};

struct bursar_response {
    int status; /* HTTP */
    struct bursar_text content_type;
    struct bursar_text body;
    struct bursar_text (*header)(const struct bursar_response *response, const char *name);
    /* What a path finds in the body, read as JSON, JSONP, XML or a form, whichever it is. */
    struct bursar_value (*find)(const struct bursar_response *response, struct bursar_text path);
    /* Item `index` of the list there. */
    struct bursar_value (*find_item)(const struct bursar_response *response,
                                     struct bursar_text path, size_t index);
    /* Whether a predicate (BURSAR_OPTION_PREDICATES) is true of the body. */
    bool (*holds)(const struct bursar_response *response, struct bursar_text predicate);
    /* A cookie that the reply sets (RFC 6265), by its name. */
    struct bursar_text (*cookie)(const struct bursar_response *response, const char *name);
    void *host;
};

/* Everything a module may use. All texts are borrowed until the module's function returns, those that
 * a service makes too. */
struct bursar_call {
    int64_t now; /* seconds since 1970 UTC */
    enum bursar_purpose purpose;
    unsigned step; /* 0, and one more after each BURSAR_READ_NEXT */

    /* Settings of this provider, by the names of the module's option table; numbers as text. Where
     * the entry leaves a setting out that is no URL, the connection's own `grant` may give it. */
    struct bursar_text (*setting)(const struct bursar_call *call, const char *name);
    /* Item `index` of a list or map setting; false behind the last one. name is absent in a list. */
    bool (*setting_item)(const struct bursar_call *call, const char *name, size_t index,
                         struct bursar_text *out_name, struct bursar_text *out_value);
    /* How many rows a setting has. */
    size_t (*setting_rows)(const struct bursar_call *call, const char *name);
    /* A part of the credential: "refresh_token", "access_token", or the name of one of its further
     * fields. */
    struct bursar_text (*secret)(const struct bursar_call *call, const char *name);
    struct bursar_text (*metadata)(const struct bursar_call *call, const char *name);
    /* What the purpose brings along. */
    struct bursar_text (*input)(const struct bursar_call *call, const char *name);
    bool (*input_item)(const struct bursar_call *call, size_t index, struct bursar_text *out_name,
                       struct bursar_text *out_value);
    /* What earlier steps captured. */
    struct bursar_text (*captured)(const struct bursar_call *call, const char *name);
    /* Gives out one part; name is NULL where the part has none. */
    void (*emit)(const struct bursar_call *call, enum bursar_emit part, const char *name,
                 const char *value, size_t value_len);

    /* A text with its {placeholders} replaced: captures, inputs, parts of the secret, metadata,
     * `variables` defaults and settings are looked up in this order; {{ stands for {. Absent where one
     * of them is not known, which the caller of the job is told. In a URL (is_url) what is inserted is
     * encoded for its place, and never makes another host than a name. */
    struct bursar_text (*expand)(const struct bursar_call *call, struct bursar_text text,
                                 bool is_url);
    struct bursar_text (*encode)(const struct bursar_call *call, enum bursar_encoding encoding,
                                 struct bursar_text data);
    struct bursar_text (*random)(const struct bursar_call *call, size_t len);
    struct bursar_text (*hash)(const struct bursar_call *call, enum bursar_hash hash,
                               struct bursar_text data);
    struct bursar_text (*hmac)(const struct bursar_call *call, enum bursar_hash hash,
                               struct bursar_text key, struct bursar_text data);
    /* With an unencrypted private key in PEM; absent where the key does not fit. */
    struct bursar_text (*sign)(const struct bursar_call *call, enum bursar_sign algorithm,
                               struct bursar_text private_key, struct bursar_text data);
    /* One text of several. */
    struct bursar_text (*join)(const struct bursar_call *call, const struct bursar_text *parts,
                               size_t count);
    void *host; /* the daemon's own */
};

/* ---- the descriptor ------------------------------------------------------------------------ */

struct bursar_exchange {
    /* The request. 0, or a negative enum bursar_error where the settings and the secret do not allow
     * one (BURSAR_E_NEEDS_REAUTH: nothing to refresh with; BURSAR_E_UNSUPPORTED_OP: this provider has
     * none; BURSAR_E_CONFIG: a setting is missing). */
    int (*build)(const struct bursar_call *call);
    /* NULL only where the purpose needs no reply to be read. */
    enum bursar_read (*read)(const struct bursar_call *call,
                             const struct bursar_response *response);
};

/* A field of the form that a person fills in; `form` of an entry replaces a kind's own. */
struct bursar_field {
    const char *name;
    const char *label;
    const char *type; /* password|text|url */
    bool required;
    const char *help;
};

enum bursar_connector_flags {
    BURSAR_CONNECTOR_MINTS = 1,        /* a refresh needs no refresh token: the grant is enough */
    BURSAR_CONNECTOR_EXPERIMENTAL = 2, /* only where the configuration allows such ones */
};

struct bursar_connector {
    uint32_t abi;     /* BURSAR_CONNECTOR_ABI */
    const char *kind; /* `kind:` in the configuration */
    const char *summary;
    unsigned flags;
    const char *secret_kind; /* kind of the secrets it holds: "oauth2", "bearer", …; NULL: any */
    const struct bursar_option *options;
    /* What an entry under `auth` has besides; NULL: nothing. */
    const struct bursar_option *shared_options;
    const struct bursar_field *form; /* ends with a row whose name is NULL; or NULL */

    /* What no single option can say of the settings: BURSAR_OUT_PROBLEMs. NULL: nothing. */
    void (*check)(const struct bursar_call *call);

    /* The secret that a shared credential begins with, from its settings: the parts of a
     * `credential.put` as BURSAR_OUT_FIELDs, `kind` among them. NULL: the kind has none, or makes it
     * (BURSAR_CONNECTOR_MINTS). 0, or BURSAR_E_CONFIG where the settings name none. */
    int (*seed)(const struct bursar_call *call);

    struct bursar_exchange exchanges[BURSAR_PURPOSE_COUNT];
};

/* What a loadable module defines, with default visibility. */
#define BURSAR_CONNECTOR_SYMBOL "bursar_connector_module"
typedef const struct bursar_connector *bursar_connector_module_fn(void);

#ifdef __cplusplus
}
#endif
#endif
