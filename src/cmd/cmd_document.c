#include "cmd/cmd_document.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bursar/error.h>

#include "base/buf.h"
#include "cmd/cmd_input.h"

enum { MAX_INPUT = 1 << 20 };

int cmd_document_complain(const struct cmd *cmd, const char *problem)
{
    fprintf(stderr, "bursar %s: standard input: %s\n", cmd->name, problem);
    return CMD_USAGE;
}

json_t *cmd_document_read(const struct cmd *cmd)
{
    struct buf input = buf_make_secret(MAX_INPUT);
    json_error_t error;
    json_t *document = NULL;
    int failure = cmd_input_all(&input);
    struct text text = buf_text(&input);
    if (failure == 0)
        document = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &error);
    if (failure == BURSAR_E_IO)
        cmd_document_complain(cmd, strerror(errno));
    else if (failure != 0)
        cmd_document_complain(cmd, bursar_error_text(failure));
    else if (!document) /* error.text quotes what it stumbled over, and that may be a secret */
        fprintf(stderr, "bursar %s: standard input: not JSON, line %d column %d\n", cmd->name,
                error.line, error.column);
    buf_free(&input);
    return document;
}
