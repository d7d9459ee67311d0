/* Any bytes as the `fields` of a form: refused with one line for people, or made into a secret that a
 * put takes. */
#include <string.h>

#include <bursar/error.h>

#include "connector/form.h"
#include "entry.h"
#include "fuzz.h"
#include "wire/doc.h"

static const char *const entries[] = {
    "kind: api_key\n"
    "form:\n"
    "  - {name: api_key, label: Key, group: key}\n"
    "  - {name: username, label: User, type: text, group: password}\n"
    "  - {name: password, label: Password, group: password}\n"
    "  - {name: host, label: Host, type: url, required: false, default: 'https://a.example'}\n",
    "kind: oauth2_client_credentials\ntoken_url: https://id.example/token\n",
    "kind: static\n",
};
enum { ENTRIES = sizeof entries / sizeof entries[0] };

static struct connector connectors[ENTRIES];

/* What a form makes is what a put takes. */
static void use(const struct form *form, const struct form_values *values)
{
    struct buf packed = buf_make_secret(1 << 20), error = buf_make(4096);
    struct tree *tree = tree_new();
    struct doc_put put;
    form_pack(form, values, &packed);
    FUZZ_MUST(tree && buf_error(&packed) == 0 && tree_fill(tree, buf_text(&packed)) == 0);
    if (doc_read_put(tree_root(tree), &put, &error) == 0)
        doc_put_free(&put);
    else
        FUZZ_MUST(error.len > 0);
    tree_free(tree);
    buf_free(&packed);
    buf_free(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tree *tree = tree_new();
    if (!connectors[0].module)
        entries_open(entries, ENTRIES, "display_name: x", connectors);
    FUZZ_MUST(tree);
    bool is_map = tree_fill(tree, (struct text){(const char *)data, size}) == 0 &&
                  node_type(tree_root(tree)) == NODE_MAP;
    for (size_t i = 0; is_map && i < ENTRIES; i++) {
        struct form form;
        struct form_values values;
        struct buf error = buf_make(4096);
        form_of(&connectors[i], &form);
        FUZZ_MUST(form.count <= FORM_FIELDS_MAX);
        int result = form_take(&form, tree_root(tree), &values, &error);
        if (result == 0)
            result = form_accept(&form, &values, &error);
        FUZZ_MUST(result == 0 || (error.len > 0 && text_is_printable(buf_text(&error))));
        if (result == 0)
            use(&form, &values);
        buf_free(&error);
    }
    tree_free(tree);
    return 0;
}
