#include "client/event.h"

#include <stdlib.h>

#include "wire/json.h"

enum { MAX_EVENT_BYTES = 1 << 20 };

void event_copy_free(struct event_copy *copy)
{
    buf_free(&copy->texts);
    free(copy->json);
    *copy = (struct event_copy){0};
}

/* Where a text lies in the buffer, which may still move: an offset for now, 0 for none. */
static size_t keep(struct buf *texts, const struct node *node)
{
    if (node_type(node) != NODE_TEXT)
        return 0;
    if (texts->len == 0)
        buf_append_byte(texts, 0); /* so that no text has the offset 0 */
    size_t at = texts->len;
    buf_append_text(texts, node_text(node));
    buf_append_byte(texts, 0);
    return at;
}

struct text_member {
    const char *key;
    bool is_of_reason;
    const char **to;
};

static bool read_texts(const struct node *body, struct event_copy *copy)
{
    struct bursar_event *event = &copy->event;
    const struct node *reason = node_get(body, "reason");
    const struct text_member members[] = {
        {"type", false, &event->type},
        {"owner", false, &event->owner},
        {"provider", false, &event->provider},
        {"account", false, &event->account},
        {"connection", false, &event->connection},
        {"state", false, &event->state},
        {"phase", false, &event->phase},
        {"code", true, &event->reason_code},
        {"class", true, &event->reason_class},
        {"provider_error", true, &event->provider_error},
    };
    enum { COUNT = sizeof members / sizeof members[0] };
    size_t at[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        at[i] =
            keep(&copy->texts, node_get(members[i].is_of_reason ? reason : body, members[i].key));
    if (buf_error(&copy->texts) != 0)
        return false;
    for (size_t i = 0; i < COUNT; i++)
        *members[i].to = at[i] > 0 ? (const char *)copy->texts.data + at[i] : NULL;
    return true;
}

bool event_copy_read(const struct node *body, struct event_copy *out_copy)
{
    struct buf json = buf_make(MAX_EVENT_BYTES);
    *out_copy = (struct event_copy){.texts = buf_make(MAX_EVENT_BYTES)};
    struct bursar_event *event = &out_copy->event;
    if (node_type(node_get(body, "seq")) != NODE_UINT ||
        node_type(node_get(body, "type")) != NODE_TEXT)
        return false;
    event->seq = node_uint(node_get(body, "seq"));
    event->at_ms = node_int(node_get(body, "at_ms"));
    event->generation = node_uint(node_get(body, "generation"));
    event->is_reminder = node_bool(node_get(body, "reminder"));
    event->http_status = (int)(node_uint(node_get(node_get(body, "reason"), "http_status")) % 1000);
    json_from_node(body, &json);
    out_copy->json = buf_take_string(&json);
    event->json = out_copy->json;
    return out_copy->json && read_texts(body, out_copy);
}

void event_append_topic(const struct node *body, struct buf *out)
{
    static const char *const parts[] = {"owner", "provider", "connection"};
    buf_append_text(out, node_text(node_get(body, "type")));
    for (size_t i = 0; i < 3; i++) {
        const struct node *part = node_get(body, parts[i]);
        buf_append_byte(out, '/');
        if (node_type(part) == NODE_TEXT)
            buf_append_percent(out, node_text(part));
        else
            buf_append_byte(out, '-');
    }
}
