#include "apply.h"

#include <stdio.h>

#include "oauth2.h"

struct row {
    struct bursar_text in, name, value; /* value is filled in; absent where it cannot be */
};

static struct bursar_text cell(const struct bursar_call *call, size_t row, const char *column)
{
    char key[64];
    snprintf(key, sizeof key, "apply.%zu.%s", row, column);
    return call->setting(call, key);
}

static struct row row_of(const struct bursar_call *call, size_t index)
{
    struct row row = {cell(call, index, "in"), cell(call, index, "name"),
                      call->expand(call, cell(call, index, "value"), false)};
    if (oauth2_is(row.in, "basic")) /* the user's name is made of the secret too */
        row.name = call->expand(call, row.name, false);
    return row;
}

static bool is_path(const struct bursar_call *call, size_t row)
{
    return oauth2_is(cell(call, row, "in"), "path");
}

int apply_path(const struct bursar_call *call)
{
    for (size_t i = 0; i < call->setting_rows(call, "apply"); i++) {
        if (!is_path(call, i))
            continue;
        struct row row = row_of(call, i);
        if (!row.value.data)
            return BURSAR_E_CONFIG;
        oauth2_emit(call, BURSAR_OUT_CAPTURE, oauth2_string(call, row.name), row.value);
    }
    return 0;
}

static void emit_row(const struct bursar_call *call, const struct row *row, enum bursar_emit body)
{
    const struct {
        const char *in;
        enum bursar_emit part;
    } places[] = {{"header", BURSAR_REQ_HEADER},
                  {"query", BURSAR_REQ_QUERY},
                  {"basic", BURSAR_REQ_BASIC_RAW},
                  {"body", body}};
    const struct bursar_text pair[] = {row->name, {"=", 1}, row->value};
    if (oauth2_is(row->in, "cookie")) {
        oauth2_emit(call, BURSAR_REQ_HEADER, "Cookie", call->join(call, pair, 3));
        return;
    }
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (oauth2_is(row->in, places[i].in) && places[i].part != BURSAR_REQ_BODY)
            oauth2_emit(call, places[i].part, oauth2_string(call, row->name), row->value);
    }
}

/* RFC 6750 section 2.1, whatever token_type says; RFC 7617; a header as it was put. */
static void apply_usual(const struct bursar_call *call)
{
    struct bursar_text token = call->secret(call, "access_token");
    struct bursar_text user = call->secret(call, "username");
    struct bursar_text name = call->secret(call, "name");
    if (!token.data)
        token = call->secret(call, "token");
    const struct bursar_text bearer[] = {oauth2_text("Bearer "), token};
    if (token.data)
        oauth2_emit(call, BURSAR_REQ_HEADER, "Authorization", call->join(call, bearer, 2));
    else if (user.data)
        oauth2_emit(call, BURSAR_REQ_BASIC_RAW, oauth2_string(call, user),
                    call->secret(call, "password"));
    else if (name.data)
        oauth2_emit(call, BURSAR_REQ_HEADER, oauth2_string(call, name),
                    call->secret(call, "value"));
}

int apply_secret(const struct bursar_call *call, enum bursar_emit body)
{
    size_t rows = call->setting_rows(call, "apply"), made = 0;
    if (rows == 0)
        apply_usual(call);
    for (size_t i = 0; i < rows; i++) {
        struct row row = row_of(call, i);
        if (!row.name.data || !row.value.data)
            continue;
        made++;
        if (!is_path(call, i))
            emit_row(call, &row, body);
    }
    return rows > 0 && made == 0 ? BURSAR_E_CONFIG : 0;
}
