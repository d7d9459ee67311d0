/* Parts of `bursar principal`: keys in files, and definitions from the command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cmd_key.h"
#include "cmd/cmd_keys.h"
#include "cmd/cmd_line.h"
#include "cmd/cmd_principal.h"
#include "cmd/cmd_table.h"

enum { KEY_LEN = BURSAR_CURVE_KEY_SIZE - 1, MAX = 65536 };
static const char key[] = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
static const char odd_key[] = "rq:${>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";

static char folder[64];

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/bursar-test-XXXXXX");
    return mkdtemp(folder) ? chdir(folder) : -1;
}

static int teardown(void **state)
{
    static const char *const names[] = {"a", "b", "c", "c.pub"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        remove(names[i]);
    return chdir("/") == 0 ? rmdir(folder) : -1;
}

static void write_file(const char *name, mode_t mode, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static bool reads_own(const char *name)
{
    struct buf out = buf_make_secret(256);
    bool is_read = cmd_key_read_own(name, &out);
    if (is_read)
        assert_true(text_is(buf_text(&out), key));
    buf_free(&out);
    return is_read;
}

/* ---- keys ---------------------------------------------------------------------------------------- */

static void reads_private_files_alone(void **state)
{
    static const mode_t private[] = {0600, 0400, 0700},
                        open_ones[] = {0640, 0604, 0660, 0610, 0602};
    char line[64];
    (void)state;
    snprintf(line, sizeof line, "%s\n", key);
    for (size_t i = 0; i < sizeof private / sizeof private[0]; i++) {
        write_file("a", private[i], line);
        assert_true(reads_own("a"));
    }
    for (size_t i = 0; i < sizeof open_ones / sizeof open_ones[0]; i++) {
        write_file("a", open_ones[i], line);
        assert_false(reads_own("a"));
    }
    write_file("a", 0600, line);
    assert_int_equal(symlink("a", "b"), 0);
    assert_false(reads_own("b"));
    assert_int_equal(unlink("b"), 0);
    assert_int_equal(mkfifo("b", 0600), 0);
    assert_false(reads_own("b")); /* and does not wait for a writer */
    assert_false(reads_own("."));
    assert_false(reads_own("nothing"));
}

static void reads_one_line_alone(void **state)
{
    static const struct {
        const char *before, *behind;
        bool is_key;
    } rows[] = {{"", "", true},   {"", "\n", true},  {"", "\n\n", false}, {"", "\r\n", false},
                {"", "x", false}, {"\n", "", false}, {" ", "", false}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "%s%s%s", rows[i].before, key, rows[i].behind);
        write_file("a", 0600, text);
        if (reads_own("a") != rows[i].is_key)
            fail_msg("row %zu", i);
    }
    write_file("a", 0600, "");
    assert_false(reads_own("a"));
    write_file("a", 0600, "0123456789012345678901234567890123456~~~");
    assert_false(reads_own("a"));
}

static void makes_pairs_once(void **state)
{
    struct cmd_key_pair pair = {.folder_fd = AT_FDCWD, .secret_name = "c", .public_name = "c.pub"};
    const char *name = NULL;
    struct stat status;
    struct buf secret = buf_make_secret(256), public = buf_make(256);
    (void)state;
    assert_int_equal(cmd_key_pair_make(&pair, &name), 0);
    assert_int_equal(stat("c", &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_true(cmd_key_read_own("c", &secret));
    assert_true(cmd_key_read("c.pub", &public));
    assert_true(text_is(buf_text(&public), pair.public_key));
    assert_false(text_equal(buf_text(&public), buf_text(&secret)));
    assert_int_equal(cmd_key_pair_make(&pair, &name), BURSAR_E_IO);
    assert_int_equal(errno, EEXIST);
    assert_string_equal(name, "c");
    assert_int_equal(access("c", F_OK), 0); /* what was there stays */
    assert_int_equal(unlink("c"), 0);
    assert_int_equal(cmd_key_pair_make(&pair, &name), BURSAR_E_IO);
    assert_string_equal(name, "c.pub");
    assert_int_equal(access("c", F_OK), -1); /* what was made does not */
    assert_int_equal(unlink("c.pub"), 0);
    assert_int_equal(cmd_key_pair_make(&pair, &name), 0);
    cmd_key_pair_take_back(&pair);
    assert_int_equal(access("c", F_OK), -1);
    assert_int_equal(access("c.pub", F_OK), -1);
    buf_free(&secret);
    buf_free(&public);
}

static void wants_both_keys(void **state)
{
    static const struct {
        const char *endpoint, *events, *key_file, *server;
        bool is_ok, has_keys;
    } rows[] = {
        {NULL, NULL, NULL, NULL, true, false},
        {"ipc:///x", NULL, NULL, NULL, true, false},
        {"tcp://h:1", NULL, NULL, NULL, false, false},
        {"ipc:///x", "tcp://h:1", NULL, NULL, false, false},
        {"tcp://h:1", NULL, "a", NULL, false, false},
        {"tcp://h:1", NULL, NULL, key, false, false},
        {"tcp://h:1", NULL, "a", key, true, true},
        {"tcp://h:1", NULL, "a", "b", true, true},
        {"tcp://h:1", NULL, "nothing", key, false, false},
        {"tcp://h:1", NULL, "a", "nothing", false, false},
        {"tcp://h:1", NULL, "b", key, false, false}, /* anybody can read that one */
    };
    (void)state;
    write_file("a", 0600, key);
    write_file("b", 0644, key);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cmd_keys keys = {0};
        struct cmd_args args = {.endpoint = rows[i].endpoint,
                                .events_endpoint = rows[i].events,
                                .key_file = rows[i].key_file,
                                .server_key = rows[i].server};
        if (cmd_keys_read(&keys, &args) != rows[i].is_ok)
            fail_msg("row %zu", i);
        if (rows[i].has_keys) {
            assert_string_equal(cmd_keys_secret(&keys), key);
            assert_string_equal(cmd_keys_server(&keys), key);
        } else if (rows[i].is_ok) {
            assert_null(cmd_keys_secret(&keys));
            assert_null(cmd_keys_server(&keys));
        }
        cmd_keys_wipe(&keys);
        cmd_keys_wipe(&keys);
    }
}

/* ---- definitions --------------------------------------------------------------------------------- */

/* What the options make of a definition; NULL where they are refused. */
static char *applied(const char *before, const char *public_key, const char *const *words)
{
    char *argv[32] = {(char *)(uintptr_t) "bursar", (char *)(uintptr_t) "principal"};
    int argc = 2;
    struct cmd_line line;
    for (; *words; words++)
        argv[argc++] = (char *)(uintptr_t)*words;
    if (!cmd_line_read(argc, argv, &cmd_principal, &line))
        return NULL;
    json_t *definition = json_loads(before, 0, NULL);
    assert_non_null(definition);
    char *text = cmd_principal_apply(&line.args, public_key, definition)
                     ? json_dumps(definition, JSON_COMPACT)
                     : NULL;
    json_decref(definition);
    return text;
}

static void applies_options(void **state)
{
    static const struct {
        const char *before, *words[10], *public_key, *after;
    } rows[] = {
        {"{}", {"--uid", "7", "--uid", "root"}, NULL, "{\"uids\":[7,0]}"},
        {"{}", {"--gid=root"}, NULL, "{\"gids\":[0]}"},
        {"{}",
         {"--role", "vend", "--owner", "*", "--provider", "github", "--ref", "w"},
         NULL,
         "{\"roles\":[\"vend\"],\"owners\":[\"*\"],\"providers\":[\"github\"],\"refs\":[\"w\"]}"},
        {"{}", {"--max-in-flight", "5"}, NULL, "{\"max_in_flight\":5}"},
        {"{}", {"--max-unread-bytes", "65536"}, NULL, "{\"max_unread_bytes\":65536}"},
        {"{\"owners\":[\"a\"],\"email\":\"x\"}",
         {"--owner", "b", "--email", "y"},
         NULL,
         "{\"owners\":[\"b\"],\"email\":\"y\"}"},
        {"{\"owners\":[\"a\"],\"email\":\"x\"}",
         {"--owner", "", "--email", ""},
         NULL,
         "{\"owners\":[]}"},
        {"{\"owners\":[\"a\"]}", {NULL}, NULL, "{\"owners\":[\"a\"]}"},
        {"{\"curve_keys\":[\"old\"]}", {NULL}, key, "{\"curve_keys\":[\"KEY\"]}"},
        {"{}", {"--curve-key", key}, NULL, "{\"curve_keys\":[\"KEY\"]}"},
        {"{}", {"--curve-key", key}, key, "{\"curve_keys\":[\"KEY\",\"KEY\"]}"},
        {"{}", {"--operator-scope", "billing"}, NULL, "{\"operator_scopes\":[\"billing\"]}"},
        {"{}", {"--uid", "no such user"}, NULL, NULL},
        {"{}", {"--uid", "4294967295"}, NULL, NULL},
        {"{}", {"--uid", "99999999999"}, NULL, NULL},
        {"{}", {"--gid", "-1"}, NULL, NULL},
        {"{}", {"--role", "all"}, NULL, NULL},
        {"{}", {"--provider", "No Id"}, NULL, NULL},
        {"{}", {"--operator-scope", "*"}, NULL, NULL},
        {"{}", {"--owner", "\x01"}, NULL, NULL},
        {"{}", {"--owner", "\xff"}, NULL, NULL},
        {"{}", {"--email", "\xff"}, NULL, NULL},
        {"{}", {"--curve-key", "short"}, NULL, NULL},
        {"{}", {"--max-in-flight", "0"}, NULL, NULL},
        {"{}", {"--max-in-flight", "65537"}, NULL, NULL},
        {"{}", {"--max-per-second", "x"}, NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *after = applied(rows[i].before, rows[i].public_key, rows[i].words);
        char expected[512] = "";
        for (const char *at = rows[i].after; at && *at; at++) {
            bool is_key = strncmp(at, "KEY", 3) == 0;
            strncat(expected, is_key ? key : at, is_key ? KEY_LEN : 1);
            at += is_key ? 2 : 0;
        }
        if (!after != !rows[i].after || (after && strcmp(after, expected) != 0))
            fail_msg("row %zu: %s", i, after ? after : "refused");
        free(after);
    }
}

static void knows_who_is_nobody(void **state)
{
    static const struct {
        const char *definition;
        bool is_somebody;
    } rows[] = {{"{}", false},
                {"{\"uids\":[],\"gids\":[]}", false},
                {"{\"roles\":[\"vend\"]}", false},
                {"{\"uids\":[0]}", true},
                {"{\"gids\":[0]}", true},
                {"{\"curve_keys\":[\"x\"]}", true}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *definition = json_loads(rows[i].definition, 0, NULL);
        assert_int_equal(cmd_principal_is_somebody(definition), rows[i].is_somebody);
        json_decref(definition);
    }
}

/* Nothing of a key is looked up when the file is read. */
static void writes_yaml(void **state)
{
    struct buf out = buf_make(MAX);
    json_t *definition = json_pack("{s:[i], s:[s, s], s:i}", "uids", 7, "curve_keys", odd_key, "$",
                                   "max_in_flight", 5);
    (void)state;
    cmd_principal_yaml("app", definition, &out);
    buf_append_byte(&out, 0);
    assert_string_equal((const char *)out.data,
                        "principals:\n  app:\n    uids: [7]\n"
                        "    curve_keys: [\"rq:$${>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\", \"$\"]\n"
                        "    max_in_flight: 5\n");
    json_decref(definition);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_private_files_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_one_line_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(makes_pairs_once, setup, teardown),
        cmocka_unit_test_setup_teardown(wants_both_keys, setup, teardown),
        cmocka_unit_test(applies_options),
        cmocka_unit_test(knows_who_is_nobody),
        cmocka_unit_test(writes_yaml),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
