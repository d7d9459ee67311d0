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

#include <bursar/error.h>

#include "base/secret.h"
#include "vault/keyring.h"
#include "vault/seal.h"

#define T(s) TEXT_LITERAL(s)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* 32 bytes 0, 1, 2 …; 32 bytes 0xff; and 31 and 33 bytes of 0. */
#define KEY_A "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define KEY_B "//////////////////////////////////////////8="
#define KEY_31 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="
#define KEY_33 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define ID_A "00112233445566aa"
#define ID_B "ffeeddccbbaa9988"

static char folder[64], path[128];

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/bursar-keyring-XXXXXX");
    if (!mkdtemp(folder) || secret_arena_open(1 << 18) != 0)
        return -1;
    snprintf(path, sizeof path, "%s/keyring", folder);
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
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content.data, content.len), content.len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

/* The tests have one thread: keys stay without being held. */
static const struct key_set *keys_in(const struct keyring *keyring)
{
    struct keyring_hold hold;
    const struct key_set *set = keyring_hold(keyring, &hold);
    keyring_let_go(keyring, &hold);
    return set;
}

static const uint8_t *keyring_active_id(const struct keyring *keyring)
{
    return key_set_active(keys_in(keyring), T(""))->id;
}

static const uint8_t *keyring_find(const struct keyring *keyring, const uint8_t *id)
{
    const struct key *key = key_set_find(keys_in(keyring), id);
    return key ? key->bytes : NULL;
}

/* Loads; what is wrong stands in message, without the path. */
static int load(struct keyring **out_keyring, char message[static 300])
{
    struct buf error = buf_make(500);
    int result = keyring_load_file(path, out_keyring, &error);
    struct text text = buf_text(&error);
    size_t path_len = strlen(path);
    message[0] = 0;
    if (text.len > 0) {
        assert_true(text.len > path_len && memcmp(text.data, path, path_len) == 0);
        snprintf(message, 300, "%s", text.data + path_len);
    }
    assert_int_equal(result == 0, text.len == 0);
    buf_free(&error);
    return result;
}

static struct keyring *load_right(void)
{
    struct keyring *keyring = NULL;
    char message[300];
    if (load(&keyring, message) != 0)
        fail_msg("%s", message);
    return keyring;
}

static void expect_file_refused(int result, const char *message)
{
    struct keyring *keyring = NULL;
    char got[300];
    if (load(&keyring, got) != result || strcmp(got, message) != 0)
        fail_msg("%s instead of %s", got, message);
    assert_null(keyring);
}

static void test_parse(void **state)
{
    (void)state;
    char id[KEYRING_ID_LEN * 2 + 1];
    static const uint8_t id_b[] = {0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99, 0x88};
    static const uint8_t unknown[KEYRING_ID_LEN] = {0};
    write_file(T("# comment\n"
                 "\n"
                 "  \t\n"
                 "key " ID_A " " KEY_A " old\n"
                 "\t key\t" ID_B "   " KEY_B " active \t\n"
                 "  # key " ID_B " " KEY_B " active"),
               0600);
    struct keyring *keyring = load_right();
    assert_int_equal(keyring_count(keyring), 2);
    assert_memory_equal(keyring_active_id(keyring), id_b, sizeof id_b);
    keyring_id_text(keyring, 0, id);
    assert_string_equal(id, ID_B);
    keyring_id_text(keyring, 1, id);
    assert_string_equal(id, ID_A);
    const uint8_t *key = keyring_find(keyring, id_b);
    for (size_t i = 0; i < KEYRING_KEY_LEN; i++)
        assert_int_equal(key[i], 0xff);
    key = keyring_find(keyring, (const uint8_t[]){0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0xaa});
    for (size_t i = 0; i < KEYRING_KEY_LEN; i++)
        assert_int_equal(key[i], i);
    assert_null(keyring_find(keyring, unknown));
    keyring_free(keyring);
    keyring_free(NULL);
}

static const struct {
    struct text content;
    const char *message;
} refused[] = {
#define WRONG "expected `key ID BASE64 active|new|old [OWNER]`"
    {T(""), ": has no active key"},
    {T("# nothing\n"), ": has no active key"},
    {T("key " ID_A " " KEY_A " old\n"), ": has no active key"},
    {T("key\n"), ":1: " WRONG},
    {T("\n\nkey " ID_A "\n"), ":3: " WRONG},
    {T("key " ID_A " " KEY_A "\n"), ":1: " WRONG},
    {T("# c\nkey " ID_A " " KEY_A " active more words\n"), ":2: " WRONG},
    {T("key " ID_A " " KEY_A " active owner\n"), ": has no active key"},
    {T("key " ID_A " " KEY_A " active o%2\n"), ":1: " WRONG},
    {T("key " ID_A " " KEY_A " active o%zz\n"), ":1: " WRONG},
    {T("key " ID_A " " KEY_A " active o%0A\n"), ":1: " WRONG},
    {T("key " ID_A " " KEY_A " active\nkey " ID_B " " KEY_B " active o\nkey 0000000000000000 " KEY_B
       " active %6F\n"),
     ":3: a second active key"},
    {T("key " ID_A " " KEY_A " Active\n"), ":1: " WRONG},
    {T("key " ID_A " " KEY_A " activ\n"), ":1: " WRONG},
    {T("Key " ID_A " " KEY_A " active\n"), ":1: " WRONG},
    {T("key " ID_A " " KEY_A " active\r\n"), ":1: " WRONG},
    {T("key 00112233445566a " KEY_A " active\n"), ":1: " WRONG},
    {T("key " ID_A "bb " KEY_A " active\n"), ":1: " WRONG},
    {T("key 00112233445566ag " KEY_A " active\n"), ":1: " WRONG},
    {T("key 0011223344556:aa " KEY_A " active\n"), ":1: " WRONG},
    {T("key " ID_A " " KEY_31 " active\n"), ":1: " WRONG},
    {T("key " ID_A " " KEY_33 " active\n"), ":1: " WRONG},
    {T("key " ID_A " " KEY_A "= active\n"), ":1: " WRONG},
    {T("key " ID_A " not*base64 active\n"), ":1: " WRONG},
    {T("key " ID_A " " KEY_A " active\nkey " ID_B " " KEY_B " active\n"),
     ":2: a second active key"},
    {T("key " ID_A " " KEY_A " old\nkey " ID_B " " KEY_B " active\nkey 0000000000000000 " KEY_B
       " active\n"),
     ":3: a second active key"},
    {T("key " ID_A " " KEY_A " active\n\nkey " ID_A " " KEY_B " old\n"),
     ":3: a key with this id stands above"},
    {T("key " ID_A " " KEY_A " old\nkey 00112233445566AA " KEY_B " active\n"),
     ":2: a key with this id stands above"},
    {T("key " ID_A " " KEY_A " active\n\0key " ID_B " " KEY_B " old\n"), ": is not a text file"},
};

static void test_parse_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        write_file(refused[i].content, 0600);
        expect_file_refused(BURSAR_E_CONFIG, refused[i].message);
    }
}

/* A keyring with so many keys as there can be. */
static void fill(struct buf *content)
{
    buf_append_string(content, "key " ID_A " " KEY_A " active\n");
    for (int i = 1; i < KEYRING_KEYS_MAX; i++)
        buf_printf(content, "key %016x " KEY_B " old\n", i);
}

static void test_too_many(void **state)
{
    (void)state;
    struct buf content = buf_make(3 << 20);
    fill(&content);
    write_file(buf_text(&content), 0600);
    struct keyring *keyring = load_right();
    assert_int_equal(keyring_count(keyring), KEYRING_KEYS_MAX);
    keyring_free(keyring);
    buf_append_string(&content, "key " ID_B " " KEY_B " old\n");
    write_file(buf_text(&content), 0600);
    expect_file_refused(BURSAR_E_CONFIG, ":4097: too many keys");
    uint8_t *comment = buf_reserve(&content, KEYRING_TEXT_MAX);
    memset(comment, '#', KEYRING_TEXT_MAX);
    buf_added(&content, KEYRING_TEXT_MAX);
    write_file(buf_text(&content), 0600);
    expect_file_refused(BURSAR_E_CONFIG, ": is too large for a keyring");
    buf_free(&content);
}

/* ---- whose file it is ------------------------------------------------------------------------ */

static void test_permissions(void **state)
{
    (void)state;
    static const mode_t wide[] = {0644, 0640, 0660, 0604, 0610, 0601, 0620, 0602, 0777};
    for (size_t i = 0; i < COUNT(wide); i++) {
        write_file(T("key " ID_A " " KEY_A " active\n"), wide[i]);
        expect_file_refused(BURSAR_E_CONFIG, ": can be read by others: chmod 600 it");
    }
    write_file(T("key " ID_A " " KEY_A " active\n"), 0400);
    keyring_free(load_right());
}

static void test_another_users(void **state)
{
    (void)state;
    write_file(T("key " ID_A " " KEY_A " active\n"), 0600);
    if (chown(path, 65534, (gid_t)-1) < 0)
        skip(); /* not root */
    expect_file_refused(BURSAR_E_CONFIG, ": belongs to another user");
}

static void test_no_regular_file(void **state)
{
    (void)state;
    char real[160];
    write_file(T("key " ID_A " " KEY_A " active\n"), 0600);
    snprintf(real, sizeof real, "%s.real", path);
    assert_int_equal(rename(path, real), 0);
    expect_file_refused(BURSAR_E_IO, ": cannot be opened: No such file or directory");
    assert_int_equal(symlink(real, path), 0);
    expect_file_refused(BURSAR_E_IO, ": cannot be opened: Too many levels of symbolic links");
    unlink(path);
    unlink(real);
    assert_int_equal(mkdir(path, 0700), 0);
    expect_file_refused(BURSAR_E_CONFIG, ": is not a regular file");
    rmdir(path);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody will ever write into it */
    expect_file_refused(BURSAR_E_CONFIG, ": is not a regular file");
}

/* ---- making and rotating --------------------------------------------------------------------- */

static void test_create(void **state)
{
    (void)state;
    struct stat status;
    mode_t umask_before = umask(0);
    assert_int_equal(keyring_create_file(path), 0);
    umask(umask_before);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(status.st_nlink, 1);
    struct keyring *one = load_right();
    assert_int_equal(keyring_count(one), 1);
    unlink(path);
    assert_int_equal(keyring_create_file(path), 0);
    struct keyring *two = load_right();
    assert_memory_not_equal(keyring_active_id(one), keyring_active_id(two), KEYRING_ID_LEN);
    assert_memory_not_equal(keyring_find(one, keyring_active_id(one)),
                            keyring_find(two, keyring_active_id(two)), KEYRING_KEY_LEN);
    keyring_free(one);
    keyring_free(two);
}

static void test_create_never_overwrites(void **state)
{
    (void)state;
    char content[20] = {0};
    write_file(T("something else"), 0644);
    assert_int_equal(keyring_create_file(path), BURSAR_E_CONFLICT);
    int fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, content, sizeof content), 14);
    close(fd);
    assert_string_equal(content, "something else");
    unlink(path);
    assert_int_equal(symlink("/tmp/bursar-does-not-exist", path), 0);
    assert_int_equal(keyring_create_file(path), BURSAR_E_CONFLICT);
    unlink(path);
    char path_before[sizeof path];
    memcpy(path_before, path, sizeof path);
    snprintf(path, sizeof path, "%s/no/such/folder", folder);
    assert_int_equal(keyring_create_file(path), BURSAR_E_IO);
    assert_int_equal(errno, ENOENT);
    memcpy(path, path_before, sizeof path);
}

static void add_key(void)
{
    char where[160];
    struct keyring_source source = {.where = where};
    struct buf error = buf_make(500);
    snprintf(where, sizeof where, "file:%s", path);
    if (keyring_add_key(&source, KEY_ACTIVE, NULL, &error) != 0)
        fail_msg("%s", (char *)error.data);
    assert_int_equal(error.len, 0);
    buf_free(&error);
}

/* Five rotations: what was sealed under each of the keys still opens, under the last one too. */
static void test_rotation(void **state)
{
    (void)state;
    enum { ROTATIONS = 5 };
    struct seal_place place = {T("o"), T("p.1"), SEAL_SECRET, 1};
    struct buf blobs[ROTATIONS];
    assert_int_equal(keyring_create_file(path), 0);
    for (size_t i = 0; i < ROTATIONS; i++) {
        struct keyring *keyring = load_right();
        assert_int_equal(keyring_count(keyring), i + 1);
        blobs[i] = buf_make(1000);
        assert_int_equal(seal(keyring, &place, T("text"), &blobs[i]), 0);
        for (size_t k = 0; k <= i; k++) {
            struct buf plain = buf_make_secret(100);
            assert_int_equal(unseal(keyring, &place, buf_text(&blobs[k]), &plain), 0);
            assert_int_equal(memcmp(blobs[k].data + 1, keyring_active_id(keyring), 8) == 0, k == i);
            buf_free(&plain);
        }
        keyring_free(keyring);
        add_key();
    }
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    for (size_t i = 0; i < ROTATIONS; i++)
        buf_free(&blobs[i]);
}

/* Whatever way a person wrote the file, it can be read again after a key was added. */
static void test_rotation_of_written_files(void **state)
{
    (void)state;
    static const struct text files[] = {
        T("key " ID_A " " KEY_A " active"),
        T("key " ID_A " " KEY_A " active\n"),
        T("key " ID_A " " KEY_A "\tactive\n"),
        T("key " ID_A " " KEY_A " active \t \n"),
        T("  key " ID_A " " KEY_A " active\nkey " ID_B " " KEY_B " old\n"),
        T("key " ID_B " " KEY_B " old\n# not active\nkey " ID_A " " KEY_A " active\n\n"),
        T("  # this is not active\nkey " ID_A " " KEY_A " active\n"),
    };
    for (size_t i = 0; i < COUNT(files); i++) {
        write_file(files[i], 0600);
        struct keyring *before = load_right();
        add_key();
        struct keyring *after = load_right();
        assert_int_equal(keyring_count(after), keyring_count(before) + 1);
        assert_null(keyring_find(before, keyring_active_id(after)));
        const uint8_t *key = keyring_find(after, keyring_active_id(before));
        assert_memory_equal(key, keyring_find(before, keyring_active_id(before)), KEYRING_KEY_LEN);
        keyring_free(before);
        keyring_free(after);
    }
    int fd = open(path, O_RDONLY);
    char content[300] = {0};
    assert_true(read(fd, content, sizeof content - 1) > 0);
    close(fd);
    assert_memory_equal(content, "  # this is not active\n", 23); /* comments are left alone */
}

static void test_rotation_refused(void **state)
{
    (void)state;
    char where[160];
    struct keyring_source source = {.where = where};
    struct buf error = buf_make(500);
    snprintf(where, sizeof where, "file:%s", path);
    write_file(T("key " ID_A " " KEY_A " old\n"), 0600);
    assert_int_equal(keyring_add_key(&source, KEY_ACTIVE, NULL, &error), BURSAR_E_CONFIG);
    assert_non_null(strstr((char *)error.data, "has no active key"));
    unlink(path);
    buf_clear(&error);
    assert_int_equal(keyring_add_key(&source, KEY_ACTIVE, NULL, &error), BURSAR_E_IO);
    assert_non_null(strstr((char *)error.data, "cannot be opened"));
    buf_free(&error);

    struct buf content = buf_make(3 << 20);
    fill(&content);
    write_file(buf_text(&content), 0600);
    error = buf_make(500);
    assert_int_equal(keyring_add_key(&source, KEY_ACTIVE, NULL, &error), BURSAR_E_TOO_BIG);
    assert_non_null(strstr((char *)error.data, "too many keys"));
    struct keyring *keyring = load_right(); /* the file is as it was */
    assert_int_equal(keyring_count(keyring), KEYRING_KEYS_MAX);
    keyring_free(keyring);
    buf_free(&error);
    buf_free(&content);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_parse),
        TEST(test_parse_errors),
        TEST(test_too_many),
        TEST(test_permissions),
        TEST(test_another_users),
        TEST(test_no_regular_file),
        TEST(test_create),
        TEST(test_create_never_overwrites),
        TEST(test_rotation),
        TEST(test_rotation_of_written_files),
        TEST(test_rotation_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
