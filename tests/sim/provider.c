/* Token endpoints as they are: rotation, graces, families, lives, and all the ways to fail. */
#include "world.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 1 << 16 };

/* ---- tokens ------------------------------------------------------------------------------------- */

/* `KIND-CONNECTION-CONSENT-SERIAL-` and what looks like the rest of a token. */
void token_write(const struct conn *conn, char kind, uint32_t consent, uint32_t serial,
                 struct buf *out)
{
    uint64_t tail = (conn->index + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15) ^
                    ((uint64_t)consent << 40 | serial) * UINT64_C(0xbf58476d1ce4e5b9);
    buf_printf(out, "%c-%u-%u-%u-%016llx", kind, conn->index, consent, serial,
               (unsigned long long)tail);
}

struct conn *token_read(struct world *world, struct text token, char kind, uint32_t *out_consent,
                        uint32_t *out_serial)
{
    char copy[128], *end;
    unsigned long parts[3];
    if (token.len < 4 || token.len >= sizeof copy || token.data[0] != kind || token.data[1] != '-')
        return NULL;
    memcpy(copy, token.data, token.len);
    copy[token.len] = 0;
    const char *at = copy + 2;
    for (int i = 0; i < 3; i++, at = end + 1) {
        parts[i] = strtoul(at, &end, 10);
        if (end == at || *end != '-')
            return NULL;
    }
    if (parts[0] >= world->options.connections)
        return NULL;
    *out_consent = (uint32_t)parts[1];
    *out_serial = (uint32_t)parts[2];
    return &world->conns[parts[0]];
}

void provider_consent(struct conn *conn, struct buf *access_token, struct buf *refresh_token)
{
    const struct provider *provider = conn->provider;
    struct grant *grant = &conn->grant;
    int64_t now_ms = provider->world->now_ms;
    *grant = (struct grant){.consent = grant->consent + 1,
                            .is_alive = true,
                            .serial = 1,
                            .access = 1,
                            .ends_at_ms = provider->refresh_life_s > 0
                                              ? now_ms + provider->refresh_life_s * 1000
                                              : NEVER_MS};
    token_write(conn, 'a', grant->consent, grant->access, access_token);
    token_write(conn, 'r', grant->consent, grant->serial, refresh_token);
}

/* ---- the way there -------------------------------------------------------------------------------- */

enum fate provider_fate(struct provider *provider)
{
    struct world *world = provider->world;
    struct chance *chance = &world->chance;
    if (world->is_calm)
        return FATE_REPLY;
    if (provider->trouble == TROUBLE_DOWN)
        return chance_is(chance, 0.8)   ? FATE_UNSENT
               : chance_is(chance, 0.5) ? FATE_LOST_BEFORE
                                        : FATE_HANG_BEFORE;
    const struct {
        double probability;
        enum fate fate;
    } fates[] = {{provider->unsent, FATE_UNSENT},
                 {provider->lost_before, FATE_LOST_BEFORE},
                 {provider->lost_after, FATE_LOST_AFTER},
                 {provider->hang / 2, FATE_HANG_BEFORE},
                 {provider->hang / 2, FATE_HANG_AFTER}};
    for (size_t i = 0; i < sizeof fates / sizeof fates[0]; i++) {
        if (chance_is(chance, fates[i].probability))
            return fates[i].fate;
    }
    return FATE_REPLY;
}

/* ---- replies -------------------------------------------------------------------------------------- */

static void say(struct told *told, int status, const char *body)
{
    told->status = status;
    told->body = buf_make_secret(BODY_MAX);
    buf_append_string(&told->body, body);
}

static void say_retry_after(struct told *told, int64_t wait_s)
{
    told->headers = buf_make_secret(BODY_MAX);
    told->retry_after_s = wait_s;
    buf_printf(&told->headers, "Retry-After: %lld", (long long)wait_s);
    buf_append_byte(&told->headers, 0);
}

static void refuse(struct told *told)
{
    told->is_refusal = true;
    say(told, 400, "{\"error\":\"invalid_grant\"}");
}

/* A new secret; serial is that of the refresh token that goes with it. */
static void issue(const struct asked *asked, uint32_t serial, struct told *told)
{
    struct conn *conn = asked->conn;
    struct provider *provider = asked->provider;
    *told = (struct told){.status = 200,
                          .is_secret = true,
                          .consent = asked->consent,
                          .serial = serial,
                          .access = ++conn->grant.access};
    told->body = buf_make_secret(BODY_MAX);
    buf_append_string(&told->body, "{\"access_token\":\"");
    token_write(conn, 'a', asked->consent, told->access, &told->body);
    buf_printf(&told->body, "\",\"token_type\":\"Bearer\",\"expires_in\":%lld",
               (long long)provider->token_life_s);
    if (provider->rotates) {
        buf_append_string(&told->body, ",\"refresh_token\":\"");
        token_write(conn, 'r', asked->consent, serial, &told->body);
        buf_append_string(&told->body, "\"");
    }
    if (!chance_is(&provider->world->chance, provider->world->is_calm ? 0 : provider->truncated))
        buf_append_string(&told->body, "}");
    else
        told->is_secret = false; /* the token is spent, and nobody can read what came for it */
}

static void rotate(const struct asked *asked, struct told *told)
{
    struct provider *provider = asked->provider;
    struct grant *grant = &asked->conn->grant;
    int64_t now_ms = provider->world->now_ms;
    if (provider->rotates) {
        grant->serial++;
        grant->rotated_at_ms = now_ms;
    }
    if (provider->refresh_life_s > 0)
        grant->ends_at_ms = now_ms + provider->refresh_life_s * 1000;
    issue(asked, grant->serial, told);
}

/* A spent token comes again. */
static void replay(const struct asked *asked, struct told *told)
{
    struct provider *provider = asked->provider;
    struct grant *grant = &asked->conn->grant;
    int64_t age_ms = provider->world->now_ms - grant->rotated_at_ms;
    if (asked->serial + 1 == grant->serial && age_ms <= provider->true_grace_s * 1000) {
        provider->world->figures.resent_in_grace++;
        issue(asked, grant->serial, told);
        return;
    }
    if (provider->has_family_revocation)
        grant->is_alive = false;
    refuse(told);
}

static void answer_grant(const struct asked *asked, struct told *told)
{
    struct conn *conn = asked->conn;
    const struct grant *grant = conn ? &conn->grant : NULL;
    int64_t now_ms = asked->provider->world->now_ms;
    if (!conn || asked->consent != grant->consent || !grant->is_alive ||
        now_ms > grant->ends_at_ms || asked->serial > grant->serial)
        refuse(told);
    else if (asked->serial < grant->serial)
        replay(asked, told);
    else
        rotate(asked, told);
}

/* ---- ceilings and bad days ------------------------------------------------------------------------- */

/* Seconds to wait where the ceiling is reached; 0: there is room, and this request takes its part. */
static int64_t over_ceiling(struct provider *provider)
{
    int64_t now_ms = provider->world->now_ms;
    double per_ms = (double)provider->rate_limit / ((double)provider->rate_window_s * 1000);
    provider->rate_left += (double)(now_ms - provider->rate_at_ms) * per_ms;
    provider->rate_at_ms = now_ms;
    if (provider->rate_left > (double)provider->rate_limit)
        provider->rate_left = (double)provider->rate_limit;
    if (provider->rate_left < 1)
        return 1 + (int64_t)((1 - provider->rate_left) / per_ms / 1000);
    provider->rate_left -= 1;
    return 0;
}

static bool fail(struct provider *provider, struct told *told)
{
    struct chance *chance = &provider->world->chance;
    double errors = provider->trouble == TROUBLE_ERRORS ? 0.9 : provider->server_error;
    if (provider->world->is_calm)
        return false;
    if (provider->trouble == TROUBLE_CLIENT)
        say(told, 401, "{\"error\":\"invalid_client\"}");
    else if (provider->trouble == TROUBLE_GRANTS && chance_is(chance, 0.9))
        refuse(told);
    else if (chance_is(chance, errors))
        say(told, 503, "<html>unavailable</html>");
    else if (chance_is(chance, provider->html))
        say(told, 502, "<html><body>bad gateway</body></html>");
    else if (chance_is(chance, provider->odd_client_error))
        say(told, 400, "{\"error\":\"invalid_scope\"}");
    return told->status != 0;
}

void provider_answer(const struct asked *asked, struct told *out_told)
{
    struct provider *provider = asked->provider;
    struct world *world = provider->world;
    *out_told = (struct told){.status = 0};
    int64_t wait_s = provider->rate_limit > 0 ? over_ceiling(provider) : 0;
    if (wait_s > 0) {
        world->figures.throttled++;
        say(out_told, 429, "{\"error\":\"slow_down\"}");
        if (provider->gives_retry_after)
            say_retry_after(out_told, wait_s);
    } else if (!fail(provider, out_told)) {
        answer_grant(asked, out_told);
    }
    trace(world, "answer", asked->conn ? asked->conn->index : UINT32_MAX,
          (uint64_t)out_told->status, out_told->serial);
}

void provider_revoke(const struct asked *asked)
{
    if (asked->consent == asked->conn->grant.consent)
        asked->conn->grant.is_alive = false;
}
