/* Any bytes as a job: refused with words that can be printed, or decoded to what the bounds say. */
#include <string.h>

#include <bursar/error.h>
#include <bursar/protocol.h>

#include "fuzz.h"
#include "wire/job.h"
#include "wire/principal.h"

static void check_text(struct text text, size_t max)
{
    FUZZ_MUST(!text.data || (text.len >= 1 && text.len <= max && text_is_printable(text)));
}

static void check_job(const struct job *job)
{
    const struct job_rule *rule = job_rule(job->op);
    FUZZ_MUST(job->op > OP_NONE && job->op < OP_END);
    check_text(job->owner, BURSAR_MAX_OWNER_BYTES);
    check_text(job->account, BURSAR_MAX_ACCOUNT_BYTES);
    check_text(job->connection, 1024);
    check_text(job->ref, 1024);
    FUZZ_MUST(!rule->names_connection || job->select.is_given || job->ref.data ||
              (job->owner.data && (job->connection.data || job->provider.data)));
    FUZZ_MUST(!job->ref.data || !rule->names_connection ||
              (!job->owner.data && !job->connection.data));
    FUZZ_MUST(job->op != OP_PUT || job->secret);
}

/* What a definition says is what is kept of it. */
static void check_definition(const struct job *job)
{
    struct principal principal, again;
    struct buf error = buf_make(4096), packed = buf_make(1 << 20), twice = buf_make(1 << 20);
    if (principal_read(job->principal, job->definition, &principal, &error) < 0) {
        FUZZ_MUST(error.len > 0 && text_is_printable(buf_text(&error)));
        buf_free(&error);
        return;
    }
    struct pack map = pack_map(&packed);
    principal_pack(&map, &principal);
    pack_close(&map);
    struct tree *tree = tree_new();
    FUZZ_MUST(tree && tree_fill(tree, buf_text(&packed)) == 0);
    FUZZ_MUST(principal_read(job->principal, tree_root(tree), &again, &error) == 0);
    map = pack_map(&twice);
    principal_pack(&map, &again);
    pack_close(&map);
    FUZZ_MUST(text_equal(buf_text(&packed), buf_text(&twice)));
    principal_fini(&principal);
    principal_fini(&again);
    tree_free(tree);
    buf_free(&packed);
    buf_free(&twice);
    buf_free(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct job_reader *reader;
    struct buf error = buf_make(4096);
    struct job job;
    if (!reader)
        reader = job_reader_new();
    FUZZ_MUST(reader);
    int result =
        job_read(reader, (struct text){size > 0 ? (const char *)data : "", size}, &job, &error);
    FUZZ_MUST(result == 0 || result == BURSAR_E_BAD_REQUEST || result == BURSAR_E_UNSUPPORTED_OP);
    FUZZ_MUST((result == 0) == (error.len == 0) && text_is_printable(buf_text(&error)));
    if (result == 0)
        check_job(&job);
    if (result == 0 && job.op == OP_PRINCIPAL_ADD)
        check_definition(&job);
    buf_free(&error);
    return 0;
}
