#include "store/refreshed.h"

bool store_row_refreshed(const struct conn_row *before, const struct store_change *change,
                         struct conn_row *out_row)
{
    const struct change_secret *secret = &change->secret;
    bool is_known = change->type == CHANGE_REFRESHED && change->result == 0 &&
                    before->state == CONN_ACTIVE && change->state == CONN_ACTIVE &&
                    change->expect_generation == before->generation &&
                    change->generation == before->generation + 1;
    if (!is_known)
        return false;
    struct conn_row row = *before;
    row.block = NULL;
    row.block_len = 0;
    row.generation = change->generation;
    row.issued_at = secret->issued_at;
    row.expires_at = secret->expires_at;
    row.due_at = secret->due_at;
    row.next_refresh_at = secret->can_refresh ? secret->due_at : secret->expires_at;
    row.refresh_expires_at = secret->refresh_expires_at;
    row.updated_at = row.last_refresh_at = change->at_ms / 1000;
    row.last_outcome = VERDICT_OK;
    row.failures = 0;
    row.is_probed = false;
    row.lost_at = EXPIRY_NEVER;
    row.last_error = row.reason = (struct text){NULL, 0};
    row.kind = secret->kind;
    row.scopes = secret->scopes.data ? secret->scopes : before->scopes;
    row.secret = secret->secret;
    row.grant = secret->grant;
    row.can_refresh = secret->can_refresh;
    *out_row = row;
    return true;
}
