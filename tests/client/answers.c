#include "answers.h"

#include <stdio.h>
#include <string.h>

static void pack_list(struct pack *map, const char *key, const char *const *texts)
{
    struct pack list = pack_array_in(map, key);
    for (; *texts; texts++)
        pack_item_text(&list, text_of(*texts));
    pack_close(&list);
}

static void pack_code(struct pack *map, struct text word)
{
    pack_bool(map, "ok", false);
    struct pack error = pack_map_in(map, "error");
    pack_text(&error, "code", word);
    pack_string(&error, "message", "as the test wants it");
    pack_bool(&error, "retryable", false);
    pack_close(&error);
}

static void whoami(struct pack *map, const struct node *job)
{
    (void)job;
    pack_string(map, "principal", "uid:7");
    pack_string(map, "peer", "uid:7:gid:8:pid:9");
    pack_string(map, "email", "who@example.com");
    pack_list(map, "roles", (const char *const[]){"vend", "refresh", NULL});
    pack_list(map, "owners", (const char *const[]){"acme", NULL});
    pack_list(map, "providers", (const char *const[]){"*", NULL});
    pack_list(map, "refs", (const char *const[]){"warehouse", NULL});
    pack_list(map, "operator_scopes", (const char *const[]){NULL});
}

static void is_operator(struct pack *map, const struct node *job)
{
    pack_bool(map, "is_operator",
              text_is(node_text(node_get(job, "email")), "op@example.com") &&
                  text_is(node_text(node_get(job, "scope")), "billing"));
}

static void connector_get(struct pack *map, const struct node *job)
{
    struct text provider = node_text(node_get(job, "provider"));
    struct pack connector = pack_map_in(map, "connector");
    pack_text(&connector, "id", provider);
    if (!text_is(provider, "bare"))
        pack_string(&connector, "account_type", "email");
    pack_close(&connector);
}

static void connection_get(struct pack *map, const struct node *job)
{
    struct pack record = pack_map_in(map, "record");
    pack_string(&record, "id", "prov.0123");
    if (!text_is(node_text(node_get(job, "owner")), "unscoped"))
        pack_list(&record, "scopes", (const char *const[]){"read", "write", NULL});
    pack_close(&record);
}

bool answers_pack(struct pack *map, const struct node *job)
{
    static const struct {
        const char *op;
        void (*pack)(struct pack *map, const struct node *job);
    } rows[] = {
        {"whoami", whoami},
        {"principal.is_operator", is_operator},
        {"connector.get", connector_get},
        {"connection.get", connection_get},
    };
    static const char prefix[] = "code:";
    struct text owner = node_text(node_get(job, "owner"));
    size_t prefix_len = sizeof prefix - 1;
    if (owner.len > prefix_len && memcmp(owner.data, prefix, prefix_len) == 0) {
        pack_code(map, (struct text){owner.data + prefix_len, owner.len - prefix_len});
        return true;
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (text_is(node_text(node_get(job, "op")), rows[i].op)) {
            pack_bool(map, "ok", true);
            rows[i].pack(map, job);
            return true;
        }
    }
    return false;
}
