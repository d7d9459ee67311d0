#include <bursar/client.h>

#include <stdlib.h>
#include <string.h>

#include "client/failure.h"
#include "wire/doc.h"

struct bursar_source {
    struct bursar_source_ops ops;
    void *data;
};

int bursar_source_open(const struct bursar_source_ops *ops, void *data,
                       struct bursar_source **out_source)
{
    if (!ops || !ops->current || !ops->invalidate)
        return BURSAR_E_BAD_REQUEST;
    struct bursar_source *source = malloc(sizeof *source);
    if (!source)
        return BURSAR_E_NOMEM;
    *source = (struct bursar_source){*ops, data};
    *out_source = source;
    return BURSAR_OK;
}

void bursar_source_close(struct bursar_source *source)
{
    if (!source)
        return;
    if (source->ops.close)
        source->ops.close(source->data);
    free(source);
}

/* What a source answered, in the library's terms: an error has words, and is negative. */
static int conclude(int error, const struct bursar_failure *failure,
                    struct bursar_failure *out_failure)
{
    if (error > 0)
        return failure_say(out_failure, BURSAR_E_INTERNAL,
                           "the source answered a number that is no error");
    if (error == 0)
        return BURSAR_OK;
    if (failure->error == 0)
        return failure_plain(out_failure, error);
    if (out_failure) {
        *out_failure = *failure;
        out_failure->error = error;
    }
    return error;
}

int bursar_source_current(struct bursar_source *source, struct bursar_grant *out_grant,
                          struct bursar_failure *out_failure)
{
    struct bursar_failure failure = {0};
    struct bursar_grant grant = {0};
    int error = source->ops.current(source->data, &grant, &failure);
    if (error == 0)
        *out_grant = grant;
    return conclude(error, &failure, out_failure);
}

int bursar_source_invalidate(struct bursar_source *source, const struct bursar_grant *refused,
                             struct bursar_failure *out_failure)
{
    struct bursar_failure failure = {0};
    int error = source->ops.invalidate(source->data, refused, &failure);
    return conclude(error, &failure, out_failure);
}

/* ---- the daemon's --------------------------------------------------------------------------- */

struct daemon_source {
    struct bursar_client *client;
    struct bursar_target target;
    struct bursar_vend_options options;
    char *texts[6]; /* what target and options point to */
};

static void daemon_close(void *data)
{
    struct daemon_source *daemon = data;
    for (size_t i = 0; i < sizeof daemon->texts / sizeof daemon->texts[0]; i++)
        free(daemon->texts[i]);
    free(daemon);
}

static int daemon_current(void *data, struct bursar_grant *out_grant,
                          struct bursar_failure *out_failure)
{
    const struct daemon_source *daemon = data;
    return bursar_vend(daemon->client, &daemon->target, &daemon->options, out_grant, out_failure);
}

/* The very connection that the secret was of, and its generation: a verdict on an old one must not
 * fall on what has taken its place. */
static int daemon_invalidate(void *data, const struct bursar_grant *refused,
                             struct bursar_failure *out_failure)
{
    const struct daemon_source *daemon = data;
    bool is_by_id = refused->connection && !daemon->target.ref;
    struct bursar_target by_id = {.owner = daemon->target.owner, .connection = refused->connection};
    struct bursar_invalidate_options options = {.generation = refused->generation,
                                                .access_token =
                                                    refused->generation > 0 ? NULL : refused->token,
                                                .deadline_ms = daemon->options.deadline_ms};
    struct bursar_grant grant = {0};
    if (refused->generation == 0 && !refused->token)
        return failure_say(out_failure, BURSAR_E_BAD_REQUEST,
                           "the grant that was refused names neither a generation nor a token");
    int error = bursar_invalidate(daemon->client, is_by_id ? &by_id : &daemon->target, &options,
                                  &grant, out_failure);
    bursar_grant_free(&grant);
    bool is_gone = error == BURSAR_E_NOT_FOUND && is_by_id && !daemon->target.connection;
    return is_gone ? BURSAR_OK : error; /* current() finds the one that is there now, if any */
}

/* false without memory. */
static bool keep(struct daemon_source *daemon, size_t at, const char **text)
{
    if (*text) {
        daemon->texts[at] = strdup(*text);
        *text = daemon->texts[at];
        return daemon->texts[at] != NULL;
    }
    return true;
}

int bursar_source_of_client(struct bursar_client *client, const struct bursar_target *target,
                            const struct bursar_vend_options *options,
                            struct bursar_source **out_source)
{
    static const struct bursar_source_ops ops = {daemon_current, daemon_invalidate, daemon_close};
    struct daemon_source *daemon = calloc(1, sizeof *daemon);
    if (!daemon)
        return BURSAR_E_NOMEM;
    daemon->client = client;
    daemon->target = *target;
    if (options)
        daemon->options = *options;
    bool is_kept =
        keep(daemon, 0, &daemon->target.owner) && keep(daemon, 1, &daemon->target.connection) &&
        keep(daemon, 2, &daemon->target.provider) && keep(daemon, 3, &daemon->target.account) &&
        keep(daemon, 4, &daemon->target.ref) && keep(daemon, 5, &daemon->options.kind);
    int error = is_kept ? bursar_source_open(&ops, daemon, out_source) : BURSAR_E_NOMEM;
    if (error != 0)
        daemon_close(daemon);
    return error;
}

/* ---- a fixed one ---------------------------------------------------------------------------- */

static void fixed_close(void *data)
{
    bursar_grant_free(data);
    free(data);
}

static int fixed_current(void *data, struct bursar_grant *out_grant,
                         struct bursar_failure *out_failure)
{
    (void)out_failure;
    return bursar_grant_copy(data, out_grant);
}

static int fixed_invalidate(void *data, const struct bursar_grant *refused,
                            struct bursar_failure *out_failure)
{
    (void)data;
    (void)refused;
    return failure_say(out_failure, BURSAR_E_UNSUPPORTED_OP,
                       "the credential is a fixed one and cannot be renewed");
}

int bursar_source_of_grant(const struct bursar_grant *grant, struct bursar_source **out_source)
{
    static const struct bursar_source_ops ops = {fixed_current, fixed_invalidate, fixed_close};
    struct bursar_grant *copy = calloc(1, sizeof *copy);
    int error = copy ? bursar_grant_copy(grant, copy) : BURSAR_E_NOMEM;
    if (error == 0)
        error = bursar_source_open(&ops, copy, out_source);
    if (error != 0 && copy)
        fixed_close(copy);
    return error;
}

int bursar_source_of_token(const char *kind, const char *token, struct bursar_source **out_source)
{
    const char *main_part = doc_main_part(text_of(kind ? kind : "bearer"));
    struct bursar_part part = {main_part, token};
    struct bursar_grant grant = {0};
    if (!main_part)
        return BURSAR_E_BAD_REQUEST;
    int error = bursar_grant_make(kind ? kind : "bearer", &part, 1, &grant);
    if (error == 0)
        error = bursar_source_of_grant(&grant, out_source);
    bursar_grant_free(&grant);
    return error;
}
