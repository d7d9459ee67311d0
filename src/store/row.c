#include "store/row.h"

#include <stdlib.h>
#include <string.h>

#include <bursar/error.h>

void conn_row_free(struct conn_row *row)
{
    free(row->block);
    *row = (struct conn_row){0};
}

int conn_row_copy(const struct conn_row *row, struct conn_row *out_copy)
{
    struct conn_row copy = *row;
    copy.block = malloc(row->block_len);
    if (!copy.block)
        return BURSAR_E_NOMEM;
    memcpy(copy.block, row->block, row->block_len);
    struct text *texts[] = {&copy.id,         &copy.owner,  &copy.provider, &copy.account,
                            &copy.last_error, &copy.reason, &copy.kind,     &copy.scopes,
                            &copy.metadata,   &copy.tags,   &copy.secret,   &copy.grant};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
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
