#include "broker/reply.h"

#include <bursar/error.h>

#include "policy/expiry.h"

struct pack reply_open(struct buf *out, struct text id)
{
    struct pack map = pack_map(out);
    if (id.data)
        pack_raw(&map, "id", id);
    return map;
}

static struct pack open_reply(struct buf *out, struct text id, bool is_ok)
{
    struct pack map = reply_open(out, id);
    pack_bool(&map, "ok", is_ok);
    return map;
}

void reply_error(struct buf *out, struct text id, const struct reply_error *error)
{
    struct pack map = open_reply(out, id, false);
    struct pack inner = pack_map_in(&map, "error");
    pack_string(&inner, "code", bursar_error_code(error->error));
    pack_text(&inner, "message",
              error->text.len > 0 ? error->text : text_of(bursar_error_text(error->error)));
    pack_bool(&inner, "retryable", bursar_error_is_retryable(error->error));
    if (error->retry_after_ms > 0)
        pack_int(&inner, "retry_after_ms", error->retry_after_ms);
    if (error->provider_error.len > 0)
        pack_text(&inner, "provider_error", error->provider_error);
    pack_close(&inner);
    pack_close(&map);
}

void reply_pairs(struct buf *out, struct text id, struct text pairs)
{
    struct pack map = open_reply(out, id, true);
    pack_splice(&map, pairs);
    pack_close(&map);
}

void reply_credential(struct buf *out, struct text id, const struct reply_credential *credential)
{
    const struct warm *entry = credential->entry;
    struct pack map = open_reply(out, id, true);
    if (credential->secret.data)
        pack_raw(&map, "secret", credential->secret);
    pack_text(&map, "connection", entry->id);
    pack_text(&map, "provider", entry->provider);
    pack_text(&map, "account", entry->account);
    pack_uint(&map, "generation", entry->generation);
    if (entry->expires_at != EXPIRY_NEVER)
        pack_int(&map, "expires_at", entry->expires_at);
    pack_bool(&map, "stale", credential->is_stale);
    struct pack refresh = pack_map_in(&map, "refresh");
    pack_string(&refresh, "state", credential->refresh_state);
    if (credential->last_error.len > 0)
        pack_text(&refresh, "last_error", credential->last_error);
    pack_close(&refresh);
    pack_close(&map);
}
