/* Where the text of a keyring comes from: files, credentials, commands, passphrases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bursar/error.h>

#include "base/clock.h"
#include "base/secret.h"
#include "vault/command.h"
#include "vault/keyring.h"
#include "vault/passphrase.h"

#define T(s) TEXT_LITERAL(s)
#define KEY_A "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define LINE_A "key 00112233445566aa " KEY_A " active\n"
#define PASSPHRASE T("correct horse battery staple")

static char folder[64], path[128], where[160];

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/bursar-sources-XXXXXX");
    if (!mkdtemp(folder) || secret_arena_open(1 << 20) != 0)
        return -1;
    snprintf(path, sizeof path, "%s/keyring", folder);
    snprintf(where, sizeof where, "file:%s", path);
    unsetenv("CREDENTIALS_DIRECTORY");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    size_t used_bytes = secret_arena_info().used_bytes;
    secret_arena_close();
    return rmdir(folder) == 0 && used_bytes == 0 ? 0 : -1; /* no file beside it is left */
}

static void write_file(struct text content, mode_t mode)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content.data, content.len), content.len);
    close(fd);
}

static void read_file(struct buf *out)
{
    int fd = open(path, O_RDONLY);
    ssize_t got;
    assert_true(fd >= 0);
    while ((got = read(fd, buf_reserve(out, 1024), 1024)) > 0)
        buf_added(out, (size_t)got);
    close(fd);
}

/* Reads; what is said must have these words in it. NULL: it must be read. */
static void expect(const char *from, struct text passphrase, int result, const char *words)
{
    struct keyring_source source = {from, passphrase};
    struct key_set *set = NULL;
    struct buf error = buf_make(1000);
    int got = keyring_source_read(&source, &set, &error);
    if (got != result || (words && !strstr((char *)error.data, words)))
        fail_msg("%s: %d, %s", from, got, error.data ? (char *)error.data : "");
    if (result == 0) {
        assert_int_equal(error.len, 0);
        assert_int_equal(set->keys[0].bytes[31], 31);
    }
    key_set_free(set);
    buf_free(&error);
}

static const struct text none = {NULL, 0};

static void test_credential(void **state)
{
    (void)state;
    expect("credential:keyring", none, BURSAR_E_CONFIG, "CREDENTIALS_DIRECTORY is not set");
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    expect("credential:keyring", none, BURSAR_E_IO, "No such file");
    write_file(T(LINE_A), 0440); /* as systemd makes it for a user */
    expect("credential:keyring", none, 0, NULL);
    assert_int_equal(chmod(path, 0444), 0);
    expect("credential:keyring", none, BURSAR_E_CONFIG, "can be read by everybody");
    unlink(path);
    assert_int_equal(symlink("/dev/null", path), 0);
    expect("credential:keyring", none, BURSAR_E_IO, "symbolic links");
    expect("elsewhere:keyring", none, BURSAR_E_CONFIG, "is not file:");
}

static void test_command(void **state)
{
    (void)state;
    char text[300];
    write_file(T(LINE_A), 0600);
    snprintf(text, sizeof text, "command:/bin/cat\t '%s'", path);
    expect(text, none, 0, NULL);
    expect("command:/bin/sh -c \"echo 'key 00112233445566aa " KEY_A " active'\"", none, 0, NULL);
    expect("command:/bin/sh -c 'exit 7'", none, BURSAR_E_CONFIG, "ended with 7");
    expect("command:/bin/sh -c 'kill -9 $$'", none, BURSAR_E_CONFIG, "killed by signal 9");
    expect("command:/bin/true", none, BURSAR_E_CONFIG, "has no active key");
    expect("command:/no/such/program", none, BURSAR_E_IO, "No such file");
    expect("command:/bin/cat 'x", none, BURSAR_E_CONFIG, "quotation mark has no end");
    expect("command:cat x", none, BURSAR_E_CONFIG, "absolute path");
    expect("command:", none, BURSAR_E_CONFIG, "absolute path");
    expect("command:/bin/cat /dev/zero", none, BURSAR_E_CONFIG, "more than a keyring");
}

/* No variable of the daemon's but what is said, nothing on its standard input, and no shell before it. */
static void test_command_surroundings(void **state)
{
    (void)state;
    struct buf out = buf_make_secret(16384), error = buf_make(1000);
    setenv("BURSAR_TEST_HIDDEN", "hidden", 1);
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    assert_int_equal(command_read("/usr/bin/env", 60000, &out, &error), 0);
    assert_null(strstr((char *)out.data, "BURSAR_TEST_HIDDEN"));
    assert_non_null(strstr((char *)out.data, folder));
    buf_clear(&out);
    assert_int_equal(command_read("/bin/echo $HOME ';' a'b c'\"d\" ''", 60000, &out, &error), 0);
    assert_string_equal((char *)out.data, "$HOME ; ab cd \n");
    buf_clear(&out);
    assert_int_equal(command_read("/bin/cat", 60000, &out, &error), 0);
    assert_int_equal(out.len, 0);
    assert_int_equal(error.len, 0);
    buf_free(&out);
    buf_free(&error);
}

/* It is killed with what it began: nobody holds the other end of the pipe, which says so to this test. */
static void test_command_that_hangs(void **state)
{
    (void)state;
    struct buf out = buf_make_secret(16384), error = buf_make(1000);
    int64_t began_ms = clock_boot_ms();
    assert_int_equal(command_read("/bin/sh -c 'sleep 600 & sleep 600'", 100, &out, &error),
                     BURSAR_E_CONFIG);
    assert_non_null(strstr((char *)error.data, "did not end in time"));
    assert_in_range(clock_boot_ms() - began_ms, 100, 20000);
    /* Where the machine is slow it has not closed its output by then, and the end is as above: given longer. */
    for (int within_ms = 100;
         strstr((char *)error.data, "did not end in time") && within_ms < 60000; within_ms *= 4) {
        buf_clear(&error);
        assert_int_equal(command_read("/bin/sh -c 'exec >&-; sleep 600'", within_ms, &out, &error),
                         BURSAR_E_CONFIG);
    }
    assert_non_null(strstr((char *)error.data, "signal 9"));
    buf_free(&out);
    buf_free(&error);
}

/* ---- passphrases ------------------------------------------------------------------------------- */

/* 1 pass over 8 KiB, the least there is: a text as it comes of passphrase_seal() but for its figures would take a
 * good part of a second for each of these. */
static const char *const heads[] = {
    "bursar-keyring argon2id 0 8 AAAAAAAAAAAAAAAAAAAAAA== AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
    "bursar-keyring argon2id 65 8 AAAAAAAAAAAAAAAAAAAAAA== AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
    "bursar-keyring argon2id 1 7 AAAAAAAAAAAAAAAAAAAAAA== AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
    "bursar-keyring argon2id 1 1048577 AAAAAAAAAAAAAAAAAAAAAA== AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
    "bursar-keyring argon2id 1 8 AAAAAAAAAAAAAAAAAAAA AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
    "bursar-keyring argon2id 1 8 AAAAAAAAAAAAAAAAAAAAAA== AAAA\n",
    "bursar-keyring argon2id 1 8 AAAAAAAAAAAAAAAAAAAAAA==\n",
    "bursar-keyring argon2id 1 8",
    "bursar-keyring argon2id ",
};

static void test_passphrase_heads(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct buf text = buf_make(1000), plain = buf_make_secret(1000);
        buf_append_string(&text, heads[i]);
        buf_append_string(&text, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n");
        assert_true(passphrase_is_sealed(buf_text(&text)));
        assert_int_equal(passphrase_open(PASSPHRASE, buf_text(&text), &plain), BURSAR_E_CONFIG);
        buf_free(&text);
        buf_free(&plain);
    }
    struct buf plain = buf_make_secret(1000);
    struct text forged = T("bursar-keyring argon2id 1 8 AAAAAAAAAAAAAAAAAAAAAA== "
                           "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
                           "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n");
    assert_int_equal(passphrase_open(PASSPHRASE, forged, &plain), BURSAR_E_BAD_SEAL);
    assert_int_equal(plain.len, 0);
    buf_free(&plain);
}

/* The whole way: written under a passphrase, read again, with another one, with none, and damaged. */
static void test_passphrase(void **state)
{
    (void)state;
    struct keyring_source clear = {where, none}, source = {where, PASSPHRASE};
    struct key_set *set = NULL;
    struct buf error = buf_make(1000), content = buf_make(4096);
    struct stat status;
    write_file(T(LINE_A), 0600);
    expect(where, PASSPHRASE, BURSAR_E_CONFIG, "is not under a passphrase");
    assert_int_equal(keyring_source_read(&clear, &set, &error), 0);
    assert_int_equal(keyring_source_write(&source, set, &error), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    read_file(&content);
    assert_null(strstr((char *)content.data, KEY_A));
    assert_true(passphrase_is_sealed(buf_text(&content)));
    assert_true(keyring_source_needs_passphrase(&source));
    expect(where, PASSPHRASE, 0, NULL);
    expect(where, none, BURSAR_E_CONFIG, "set keyring_passphrase");
    expect(where, T("correct horse battery stable"), BURSAR_E_BAD_SEAL, "another passphrase");
    uint8_t *digit = &content.data[content.len - 8]; /* of base64: another one */
    *digit = *digit == 'A' ? 'B' : 'A';
    write_file(buf_text(&content), 0600);
    expect(where, PASSPHRASE, BURSAR_E_BAD_SEAL, "damaged");
    key_set_free(set);
    buf_free(&content);
    buf_free(&error);
}

/* ---- writing ----------------------------------------------------------------------------------- */

static void test_write(void **state)
{
    (void)state;
    struct keyring_source source = {where, none}, command = {"command:/bin/true", none};
    struct key_set *set = NULL, *again = NULL;
    struct buf error = buf_make(1000);
    char beside[160];
    struct text owner = T("acme & söhne/%");
    write_file(T("# mine\n" LINE_A), 0600);
    snprintf(beside, sizeof beside, "%s.new", path);
    int fd = open(beside, O_WRONLY | O_CREAT, 0644); /* of one who ended in the middle */
    close(fd);
    assert_int_equal(keyring_source_read(&source, &again, &error), 0);
    set = key_set_copy(again, 2);
    key_set_free(again);
    assert_int_equal(key_set_add_fresh(set, KEY_ACTIVE, owner, NULL), 0);
    assert_int_equal(key_set_add_fresh(set, KEY_NEW, T(""), NULL), 0);
    assert_int_equal(key_set_add_fresh(set, KEY_NEW, T(""), NULL), BURSAR_E_TOO_BIG);
    assert_int_equal(keyring_source_write(&source, set, &error), 0);
    assert_int_equal(access(beside, F_OK), -1);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(keyring_source_read(&source, &again, &error), 0);
    assert_int_equal(again->count, 3);
    assert_true(text_is(buf_text(&again->comments), "# mine\n"));
    for (size_t i = 0; i < again->count; i++)
        assert_memory_equal(&again->keys[i], &set->keys[i], sizeof set->keys[i]);
    assert_true(text_equal(key_owner(key_set_active(again, owner)), owner));
    assert_int_equal(keyring_source_write(&command, set, &error), BURSAR_E_CONFIG);
    key_set_free(set);
    key_set_free(again);
    buf_free(&error);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_credential),
        TEST(test_command),
        TEST(test_command_surroundings),
        TEST(test_command_that_hangs),
        TEST(test_passphrase_heads),
        TEST(test_passphrase),
        TEST(test_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
