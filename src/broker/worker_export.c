#include "broker/worker_export.h"

#include <bursar/error.h>

#include "base/log.h"
#include "broker/dispatcher.h"
#include "broker/record.h"
#include "policy/expiry.h"
#include "wire/doc.h"
#include "wire/pack.h"

enum { PLAIN_MAX = 1 << 20 };

/* All pairs of a stored map but `apply` where the entry makes that anew with each secret, and what is a note of the
 * daemon's own. */
static void pack_pairs(struct pack *map, const struct node *from, bool makes_apply)
{
    for (size_t i = 0; i < node_count(from); i++) {
        const struct node *key, *value;
        char name[64];
        struct buf packed = buf_make_secret(PLAIN_MAX);
        node_pair(from, i, &key, &value);
        struct text text = node_text(key);
        bool is_left_out = (makes_apply && text_is(text, "apply")) || text_is(text, DOC_PARTS);
        if (text.len > 0 && text.len < sizeof name && !is_left_out) {
            for (size_t j = 0; j < text.len; j++)
                name[j] = text.data[j];
            name[text.len] = 0;
            node_pack(value, &packed);
            pack_raw(map, name, buf_text(&packed));
        }
        buf_free(&packed);
    }
}

static void pack_secret(struct worker *self, struct pack *map, const struct conn_row *row)
{
    bool makes_apply = self->connector && settings_rows(self->connector->settings, "apply") > 0;
    struct pack secret = pack_map_in(map, "secret");
    pack_pairs(&secret, tree_root(self->secret_tree), makes_apply);
    pack_pairs(&secret, tree_root(self->grant_tree), false);
    if (row->refresh_expires_at != EXPIRY_NEVER)
        pack_int(&secret, "refresh_token_expires_at", row->refresh_expires_at);
    pack_close(&secret);
}

static int fill(struct worker *self, const struct conn_row *row, struct answer *answer)
{
    struct open_credential credential;
    if (!row->secret.data)
        return BURSAR_E_NOT_CONNECTED;
    int result = worker_open_credential(self, row, &credential);
    if (result < 0) {
        buf_append_string(&answer->text, "the stored secret does not open");
        return BURSAR_E_INTERNAL;
    }
    answer->body = buf_make_secret(PLAIN_MAX);
    struct pack map = pack_map(&answer->body);
    struct pack record = pack_map_in(&map, "record");
    record_pack(&record, row);
    pack_close(&record);
    pack_secret(self, &map, row);
    pack_close(&map);
    worker_close_credential(&credential);
    return buf_error(&answer->body) != 0 ? BURSAR_E_INTERNAL : 0;
}

/* Of one that was set aside so that it can move: what is under way for it may rotate its token, and the copy
 * would be of the spent one. */
static struct flight *flight_to_await(struct worker *self, const struct conn_row *row)
{
    struct flight *flight = flight_find(self, row->id);
    bool is_aside = row->state == CONN_FROZEN || row->state == CONN_REVOKED;
    bool may_rotate = flight && flight->phase != FLIGHT_TURN && flight->phase != FLIGHT_BACKOFF;
    return is_aside && may_rotate ? flight : NULL;
}

void worker_export(struct worker *self, struct request *request)
{
    struct conn_row row;
    int result = worker_find(self, &request->job, &row);
    if (result < 0) {
        worker_refuse(self, request, result, NULL);
        return;
    }
    struct flight *flight = flight_to_await(self, &row);
    if (flight) { /* its end looks at the request again */
        conn_row_free(&row);
        flight_join(flight, request);
        return;
    }
    struct answer *answer = answer_new(request->ticket);
    answer->error = fill(self, &row, answer);
    if (answer->error == 0)
        answer->given = warm_of_row(&row);
    LOG(LOG_WARNING, "a connection was exported", LOG_T("connection", row.id),
        LOG_S("result", answer->error == 0 ? "ok" : bursar_error_code(answer->error)));
    conn_row_free(&row);
    dispatcher_send(self->broker->dispatcher, answer);
    request_free(request);
}
