#include "wire/op.h"

#include <assert.h>

static const struct job_rule rules[] = {
    [OP_NONE] = {.name = "", .roles = 0},
    [OP_VEND] = {.name = "vend", .roles = ROLE_VEND, .names_connection = true},
    [OP_REFRESH] = {.name = "refresh",
                    .roles = ROLE_REFRESH,
                    .names_connection = true,
                    .is_intake = true},
    [OP_INVALIDATE] = {.name = "invalidate",
                       .roles = ROLE_REFRESH,
                       .names_connection = true,
                       .is_intake = true},
    [OP_PUT] = {.name = "credential.put",
                .roles = ROLE_CONNECT,
                .names_connection = true,
                .makes_one = true},
    [OP_CREATE] = {.name = "connection.create",
                   .roles = ROLE_CONNECT | ROLE_MANAGE,
                   .names_connection = true,
                   .makes_one = true},
    [OP_GET] = {.name = "connection.get",
                .roles = ROLE_VEND | ROLE_MANAGE,
                .names_connection = true},
    [OP_LIST] = {.name = "connection.list",
                 .roles = ROLE_MANAGE,
                 .is_about_all = true,
                 .is_query = true},
    [OP_UPDATE] = {.name = "connection.update", .roles = ROLE_MANAGE, .names_connection = true},
    [OP_REVOKE] = {.name = "connection.revoke", .roles = ROLE_MANAGE, .names_connection = true},
    [OP_RESTORE] = {.name = "connection.restore", .roles = ROLE_MANAGE, .names_connection = true},
    [OP_FREEZE] = {.name = "connection.freeze", .roles = ROLE_MANAGE, .names_connection = true},
    [OP_THAW] = {.name = "connection.thaw", .roles = ROLE_MANAGE, .names_connection = true},
    [OP_EXPORT] = {.name = "connection.export", .roles = ROLE_EXPORT, .names_connection = true},
    [OP_DELETE] = {.name = "connection.delete", .roles = ROLE_MANAGE, .names_connection = true},
    [OP_CONNECT_BEGIN] = {.name = "connect.begin",
                          .roles = ROLE_CONNECT,
                          .names_provider = true,
                          .makes_one = true},
    [OP_CONNECT_COMPLETE] = {.name = "connect.complete", .roles = ROLE_CONNECT},
    [OP_CONNECT_DEVICE] = {.name = "connect.device",
                           .roles = ROLE_CONNECT,
                           .names_provider = true,
                           .makes_one = true},
    [OP_CONNECTOR_LIST] = {.name = "connector.list", .roles = ROLE_CONNECT, .is_query = true},
    [OP_CONNECTOR_GET] = {.name = "connector.get", .roles = ROLE_CONNECT, .is_query = true},
    [OP_CONNECTOR_VALIDATE] = {.name = "connector.validate",
                               .roles = ROLE_CONNECT,
                               .names_provider = true},
    [OP_IS_OPERATOR] = {.name = "principal.is_operator", .roles = 0, .is_query = true},
    [OP_PRINCIPAL_LIST] = {.name = "principal.list", .roles = ROLE_ADMIN, .is_query = true},
    [OP_PRINCIPAL_GET] = {.name = "principal.get", .roles = ROLE_ADMIN, .is_query = true},
    [OP_PRINCIPAL_ADD] = {.name = "principal.add", .roles = ROLE_ADMIN, .is_query = true},
    [OP_PRINCIPAL_UPDATE] = {.name = "principal.update", .roles = ROLE_ADMIN, .is_query = true},
    [OP_PRINCIPAL_REMOVE] = {.name = "principal.remove", .roles = ROLE_ADMIN, .is_query = true},
    [OP_EVENTS_SINCE] = {.name = "events.since",
                         .roles = ROLE_EVENTS,
                         .is_about_all = true,
                         .ignores_provider = true,
                         .is_query = true},
    [OP_SWEEP_GET] = {.name = "sweep.get",
                      .roles = ROLE_MANAGE,
                      .is_about_all = true,
                      .ignores_owner = true,
                      .ignores_provider = true,
                      .is_query = true},
    [OP_SWEEP_LIST] = {.name = "sweep.list",
                       .roles = ROLE_MANAGE,
                       .is_about_all = true,
                       .ignores_owner = true,
                       .ignores_provider = true,
                       .is_query = true},
    [OP_SWEEP_RECEIPTS] = {.name = "sweep.receipts",
                           .roles = ROLE_MANAGE,
                           .is_about_all = true,
                           .ignores_owner = true,
                           .ignores_provider = true,
                           .is_query = true},
    [OP_SWEEP_CANCEL] = {.name = "sweep.cancel",
                         .roles = ROLE_MANAGE,
                         .is_about_all = true,
                         .ignores_owner = true,
                         .ignores_provider = true,
                         .is_query = true},
    [OP_PAUSE] = {.name = "provider.pause", .roles = ROLE_ADMIN, .names_provider = true},
    [OP_RESUME] = {.name = "provider.resume", .roles = ROLE_ADMIN, .names_provider = true},
    [OP_AUDIT_SINCE] = {.name = "audit.since",
                        .roles = ROLE_ADMIN,
                        .is_about_all = true,
                        .ignores_provider = true,
                        .is_query = true},
    [OP_AUDIT_VENDS] = {.name = "audit.vends",
                        .roles = ROLE_ADMIN,
                        .is_about_all = true,
                        .is_query = true},
    [OP_AUDIT_VERIFY] = {.name = "audit.verify", .roles = ROLE_ADMIN, .is_query = true},
    [OP_AUDIT_HEAD] = {.name = "audit.head", .roles = ROLE_ADMIN, .is_query = true},
    [OP_KEY_LIST] = {.name = "key.list", .roles = ROLE_ADMIN, .is_query = true},
    [OP_KEY_NEW] = {.name = "key.new", .roles = ROLE_ADMIN, .is_query = true, .is_audited = true},
    [OP_KEY_ROTATE] = {.name = "key.rotate",
                       .roles = ROLE_ADMIN,
                       .is_query = true,
                       .is_audited = true},
    [OP_KEY_RETIRE] = {.name = "key.retire",
                       .roles = ROLE_ADMIN,
                       .is_query = true,
                       .is_audited = true},
    [OP_KEY_SHRED] = {.name = "key.shred",
                      .roles = ROLE_ADMIN,
                      .is_query = true,
                      .is_audited = true},
    [OP_KEY_RELOAD] = {.name = "key.reload",
                       .roles = ROLE_ADMIN,
                       .is_query = true,
                       .is_audited = true},
    [OP_STATUS] = {.name = "status", .roles = 0, .is_query = true},
    [OP_WHOAMI] = {.name = "whoami", .roles = 0},
};
static_assert(sizeof rules / sizeof rules[0] == OP_END, "one rule an op");

const struct job_rule *job_rule(enum job_op op)
{
    return &rules[op];
}

enum job_op job_op_of(struct text name)
{
    for (int i = OP_NONE + 1; i < OP_END; i++) {
        if (text_is(name, rules[i].name))
            return (enum job_op)i;
    }
    return OP_NONE;
}

const char *job_op_near(struct text name)
{
    const char *names[OP_END];
    for (int i = OP_NONE + 1; i < OP_END; i++)
        names[i - 1] = rules[i].name;
    return text_nearest(name, names, OP_END - 1);
}
