#include "store/event.h"

#include "wire/pack.h"

static void add_part(struct buf *out, struct text part)
{
    buf_append_byte(out, '/');
    if (part.len > 0)
        buf_append_percent(out, part);
    else
        buf_append_byte(out, '-');
}

void event_topic(const struct event *event, struct buf *out)
{
    buf_append_string(out, event_type_name(event->type));
    add_part(out, event->owner);
    add_part(out, event->provider);
    add_part(out, event->connection);
}

static void pack_given(struct pack *map, const char *key, struct text value)
{
    if (value.len > 0)
        pack_text(map, key, value);
}

static void pack_reason(struct pack *map, const struct event_reason *reason)
{
    struct pack inner = pack_map_in(map, "reason");
    pack_text(&inner, "code", reason->code);
    pack_string(&inner, "class", reason->class_name);
    if (reason->http_status != 0)
        pack_int(&inner, "http_status", reason->http_status);
    pack_given(&inner, "provider_error", reason->provider_error);
    if (reason->suspect)
        pack_string(&inner, "suspect", reason->suspect);
    pack_close(&inner);
}

void event_body(const struct event *event, struct buf *out)
{
    struct pack map = pack_map(out);
    pack_uint(&map, "seq", event->seq);
    pack_int(&map, "at_ms", event->at_ms);
    pack_string(&map, "type", event_type_name(event->type));
    pack_given(&map, "owner", event->owner);
    pack_given(&map, "provider", event->provider);
    pack_given(&map, "account", event->account);
    pack_given(&map, "connection", event->connection);
    if (event->state != CONN_NONE)
        pack_string(&map, "state", conn_state_name(event->state));
    if (event->connection.data)
        pack_uint(&map, "generation", event->generation);
    if (event->tags.data)
        pack_raw(&map, "tags", event->tags);
    if (event->is_reminder)
        pack_bool(&map, "reminder", true);
    if (event->phase)
        pack_string(&map, "phase", event->phase);
    if (event->incident)
        pack_string(&map, "incident", event->incident);
    if (event->reason.code.data)
        pack_reason(&map, &event->reason);
    pack_close(&map);
}
