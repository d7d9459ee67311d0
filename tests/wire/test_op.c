/* What holds for each operation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "wire/op.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum about { NONE, ONE, MAKES, PROVIDER, MAKES_AT_PROVIDER, ALL };

static const struct {
    enum job_op op;
    const char *name;
    unsigned roles;
    enum about about;
    bool is_intake;
} ops[] = {
    {OP_VEND, "vend", ROLE_VEND, ONE, false},
    {OP_REFRESH, "refresh", ROLE_REFRESH, ONE, true},
    {OP_INVALIDATE, "invalidate", ROLE_REFRESH, ONE, true},
    {OP_PUT, "credential.put", ROLE_CONNECT, MAKES, false},
    {OP_CREATE, "connection.create", ROLE_CONNECT | ROLE_MANAGE, MAKES, false},
    {OP_GET, "connection.get", ROLE_VEND | ROLE_MANAGE, ONE, false},
    {OP_LIST, "connection.list", ROLE_MANAGE, ALL, false},
    {OP_UPDATE, "connection.update", ROLE_MANAGE, ONE, false},
    {OP_REVOKE, "connection.revoke", ROLE_MANAGE, ONE, false},
    {OP_RESTORE, "connection.restore", ROLE_MANAGE, ONE, false},
    {OP_FREEZE, "connection.freeze", ROLE_MANAGE, ONE, false},
    {OP_THAW, "connection.thaw", ROLE_MANAGE, ONE, false},
    {OP_EXPORT, "connection.export", ROLE_EXPORT, ONE, false},
    {OP_DELETE, "connection.delete", ROLE_MANAGE, ONE, false},
    {OP_CONNECT_BEGIN, "connect.begin", ROLE_CONNECT, MAKES_AT_PROVIDER, false},
    {OP_CONNECT_COMPLETE, "connect.complete", ROLE_CONNECT, NONE, false},
    {OP_CONNECT_DEVICE, "connect.device", ROLE_CONNECT, MAKES_AT_PROVIDER, false},
    {OP_CONNECTOR_LIST, "connector.list", ROLE_CONNECT, NONE, false},
    {OP_CONNECTOR_GET, "connector.get", ROLE_CONNECT, NONE, false},
    {OP_CONNECTOR_VALIDATE, "connector.validate", ROLE_CONNECT, PROVIDER, false},
    {OP_IS_OPERATOR, "principal.is_operator", 0, NONE, false},
    {OP_PRINCIPAL_LIST, "principal.list", ROLE_ADMIN, NONE, false},
    {OP_PRINCIPAL_GET, "principal.get", ROLE_ADMIN, NONE, false},
    {OP_PRINCIPAL_ADD, "principal.add", ROLE_ADMIN, NONE, false},
    {OP_PRINCIPAL_UPDATE, "principal.update", ROLE_ADMIN, NONE, false},
    {OP_PRINCIPAL_REMOVE, "principal.remove", ROLE_ADMIN, NONE, false},
    {OP_EVENTS_SINCE, "events.since", ROLE_EVENTS, ALL, false},
    {OP_SWEEP_GET, "sweep.get", ROLE_MANAGE, ALL, false},
    {OP_SWEEP_LIST, "sweep.list", ROLE_MANAGE, ALL, false},
    {OP_SWEEP_RECEIPTS, "sweep.receipts", ROLE_MANAGE, ALL, false},
    {OP_SWEEP_CANCEL, "sweep.cancel", ROLE_MANAGE, ALL, false},
    {OP_PAUSE, "provider.pause", ROLE_ADMIN, PROVIDER, false},
    {OP_RESUME, "provider.resume", ROLE_ADMIN, PROVIDER, false},
    {OP_KEY_LIST, "key.list", ROLE_ADMIN, NONE, false},
    {OP_KEY_NEW, "key.new", ROLE_ADMIN, NONE, false},
    {OP_KEY_ROTATE, "key.rotate", ROLE_ADMIN, NONE, false},
    {OP_KEY_RETIRE, "key.retire", ROLE_ADMIN, NONE, false},
    {OP_KEY_SHRED, "key.shred", ROLE_ADMIN, NONE, false},
    {OP_KEY_RELOAD, "key.reload", ROLE_ADMIN, NONE, false},
    {OP_AUDIT_SINCE, "audit.since", ROLE_ADMIN, ALL, false},
    {OP_AUDIT_VENDS, "audit.vends", ROLE_ADMIN, ALL, false},
    {OP_AUDIT_VERIFY, "audit.verify", ROLE_ADMIN, NONE, false},
    {OP_AUDIT_HEAD, "audit.head", ROLE_ADMIN, NONE, false},
    {OP_STATUS, "status", 0, NONE, false},
    {OP_WHOAMI, "whoami", 0, NONE, false},
};

static void test_rules(void **state)
{
    (void)state;
    assert_int_equal(COUNT(ops), OP_END - 1);
    for (size_t i = 0; i < COUNT(ops); i++) {
        const struct job_rule *rule = job_rule(ops[i].op);
        enum about about = ops[i].about;
        assert_string_equal(rule->name, ops[i].name);
        assert_int_equal(rule->roles, ops[i].roles);
        assert_int_equal(rule->names_connection, about == ONE || about == MAKES);
        assert_int_equal(rule->names_provider, about == PROVIDER || about == MAKES_AT_PROVIDER);
        assert_int_equal(rule->makes_one, about == MAKES || about == MAKES_AT_PROVIDER);
        assert_int_equal(rule->is_about_all, about == ALL);
        assert_int_equal(rule->is_intake, ops[i].is_intake);
        assert_true(!rule->is_query || (!rule->names_connection && !rule->names_provider));
        assert_int_equal(job_op_of(text_of(ops[i].name)), ops[i].op);
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(job_op_of(TEXT_LITERAL("Vend")), OP_NONE);
    assert_int_equal(job_op_of(TEXT_LITERAL("")), OP_NONE);
    assert_int_equal(job_op_of((struct text){"vend", 3}), OP_NONE);
    assert_string_equal(job_op_near(TEXT_LITERAL("vemd")), "vend");
    assert_string_equal(job_op_near(TEXT_LITERAL("principal.ad")), "principal.add");
    assert_null(job_op_near(TEXT_LITERAL("something.else")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rules), cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
