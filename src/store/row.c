#include "store/row.h"

#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

void conn_row_free(struct conn_row *row)
{
    free(row->block);
    *row = (struct conn_row){0};
}

enum { TEXTS = 12 };

static void list_texts(struct conn_row *row, struct text *out_texts[static TEXTS])
{
    struct text *texts[TEXTS] = {&row->id,         &row->owner,  &row->provider, &row->account,
                                 &row->last_error, &row->reason, &row->kind,     &row->scopes,
                                 &row->metadata,   &row->tags,   &row->secret,   &row->grant};
    memcpy(out_texts, texts, sizeof texts);
}

int conn_row_gather(const struct conn_row *row, struct conn_row *out_copy)
{
    struct conn_row copy = *row;
    struct text *texts[TEXTS];
    list_texts(&copy, texts);
    copy.block_len = 0;
    for (size_t i = 0; i < TEXTS; i++)
        copy.block_len += texts[i]->len + 1;
    char *to = copy.block = malloc(copy.block_len);
    if (!to)
        return BURSAR_E_NOMEM;
    for (size_t i = 0; i < TEXTS; i++) {
        if (!texts[i]->data)
            continue;
        memcpy(to, texts[i]->data, texts[i]->len);
        to[texts[i]->len] = 0;
        texts[i]->data = to;
        to += texts[i]->len + 1;
    }
    *out_copy = copy;
    return 0;
}

int conn_row_copy(const struct conn_row *row, struct conn_row *out_copy)
{
    struct conn_row copy = *row;
    copy.block = malloc(row->block_len);
    if (!copy.block)
        return BURSAR_E_NOMEM;
    memcpy(copy.block, row->block, row->block_len);
    struct text *texts[TEXTS];
    list_texts(&copy, texts);
    for (size_t i = 0; i < TEXTS; i++) {
        if (texts[i]->data)
            texts[i]->data = (char *)copy.block + (texts[i]->data - (const char *)row->block);
    }
    *out_copy = copy;
    return 0;
}

struct vend_view conn_row_view(const struct conn_row *row)
{
    return (struct vend_view){
        .state = row->state,
        .has_secret = row->secret.data != NULL,
        .is_invalidated = row->generation > 0 && row->invalid_generation == row->generation,
        .can_refresh = row->can_refresh,
        .is_failing = row->failures > 0,
        .expires_at = row->expires_at,
        .due_at = row->due_at,
        .issued_at = row->issued_at == EXPIRY_NEVER ? 0 : row->issued_at,
    };
}
