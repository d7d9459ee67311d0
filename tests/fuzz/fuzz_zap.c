/* Any bytes as the frames of a question of ZAP: nobody, or somebody whose name can be read again. */
#include <string.h>

#include "broker/zap_question.h"
#include "fuzz.h"

/* The first byte of each frame is its length; 255: all that is left. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct zap_question question = {.count = 0};
    char peer[PEER_MAX];
    for (size_t at = 0; at < size;) {
        size_t len = data[at++];
        if (len == 255 || len > size - at)
            len = size - at;
        zap_question_add(&question, data + at, len);
        at += len;
    }
    if (!zap_question_peer(&question, peer))
        return 0;
    FUZZ_MUST(strlen(peer) < PEER_MAX);
    FUZZ_MUST(strncmp(peer, "uid:", 4) == 0 || strncmp(peer, "curve:", 6) == 0);
    FUZZ_MUST(question.count == ZAP_FRAMES || question.count == ZAP_FRAMES + 1);
    /* Who is recognised by these names is who has them, and nobody else. */
    struct principals *principals = principals_new(NULL, 0, 1000);
    const struct principal *found = principals_of_peer(principals, peer);
    FUZZ_MUST(!found || strncmp(peer, "uid:0:", 6) == 0 || strncmp(peer, "uid:1000:", 9) == 0);
    principals_release(principals);
    return 0;
}
