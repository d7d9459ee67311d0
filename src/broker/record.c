#include "broker/record.h"

#include <string.h>

static void pack_given(struct pack *map, const char *key, struct text value)
{
    if (value.data)
        pack_text(map, key, value);
}

static void pack_time(struct pack *map, const char *key, int64_t time)
{
    if (time != EXPIRY_NEVER)
        pack_int(map, key, time);
}

static void pack_scopes(struct pack *map, struct text scopes)
{
    if (!scopes.data)
        return;
    struct pack list = pack_array_in(map, "scopes");
    for (size_t i = 0; i < scopes.len;) {
        const char *space = memchr(scopes.data + i, ' ', scopes.len - i);
        size_t len = space ? (size_t)(space - scopes.data) - i : scopes.len - i;
        if (len > 0)
            pack_item_text(&list, (struct text){scopes.data + i, len});
        i += len + 1;
    }
    pack_close(&list);
}

static void pack_last_refresh(struct pack *map, const struct conn_row *row)
{
    if (row->last_refresh_at == 0)
        return;
    struct pack last = pack_map_in(map, "last_refresh");
    pack_int(&last, "at", row->last_refresh_at);
    pack_string(&last, "outcome", verdict_class_name(row->last_outcome));
    pack_given(&last, "error", row->last_error);
    pack_close(&last);
}

void record_pack(struct pack *map, const struct conn_row *row)
{
    pack_text(map, "id", row->id);
    pack_text(map, "owner", row->owner);
    pack_text(map, "provider", row->provider);
    pack_text(map, "account", row->account);
    pack_string(map, "state", conn_state_name(row->state));
    pack_given(map, "reason", row->reason);
    if (row->suspect != SPENDER_NONE) {
        pack_string(map, "suspect", "second_spender");
        pack_string(map, "suspect_sign", spender_sign_name(row->suspect));
    }
    pack_given(map, "kind", row->kind);
    pack_scopes(map, row->scopes);
    pack_uint(map, "generation", row->generation);
    pack_time(map, "expires_at", row->expires_at);
    pack_time(map, "refresh_token_expires_at", row->refresh_expires_at);
    pack_int(map, "created_at", row->created_at);
    pack_int(map, "updated_at", row->updated_at);
    pack_last_refresh(map, row);
    pack_time(map, "next_refresh_at", row->next_refresh_at);
    if (row->metadata.data)
        pack_raw(map, "metadata", row->metadata);
    if (row->tags.data)
        pack_raw(map, "tags", row->tags);
}
