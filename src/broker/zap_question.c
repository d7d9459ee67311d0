#include "broker/zap_question.h"

#include <string.h>

#include "base/z85.h"

enum { CURVE_BYTES = 32, PROCESS_NUMBERS = 3 };

void zap_question_add(struct zap_question *question, const void *data, size_t len)
{
    size_t i = question->count++;
    if (i >= ZAP_FRAMES_READ)
        return;
    if (len > ZAP_FRAME_MAX) {
        question->is_odd = true;
        return;
    }
    if (len > 0)
        memcpy(question->frames[i], data, len);
    question->lens[i] = len;
}

struct text zap_question_frame(const struct zap_question *question, enum zap_frame frame)
{
    return (struct text){question->frames[frame], question->lens[frame]};
}

bool zap_process_of(struct text address, struct zap_process *out_process)
{
    static const char prefix[] = "localhost:";
    uint64_t numbers[PROCESS_NUMBERS];
    struct text rest = {address.data + (sizeof prefix - 1), address.len - (sizeof prefix - 1)};
    if (address.len < sizeof prefix - 1 || memcmp(address.data, prefix, sizeof prefix - 1) != 0)
        return false;
    for (size_t i = 0; i < PROCESS_NUMBERS; i++) {
        const char *end =
            i + 1 < PROCESS_NUMBERS ? memchr(rest.data, ':', rest.len) : rest.data + rest.len;
        if (!end || !text_to_uint((struct text){rest.data, (size_t)(end - rest.data)},
                                  UINT32_MAX - 1, &numbers[i]))
            return false;
        size_t used = (size_t)(end - rest.data) + (i + 1 < PROCESS_NUMBERS);
        rest = (struct text){rest.data + used, rest.len - used};
    }
    *out_process = (struct zap_process){(uid_t)numbers[0], (gid_t)numbers[1], (pid_t)numbers[2]};
    return true;
}

bool zap_question_peer(const struct zap_question *question, char out_peer[static PEER_MAX])
{
    struct zap_process process;
    char z85[PRINCIPAL_KEY_LEN + 1];
    struct text mechanism = zap_question_frame(question, ZAP_MECHANISM);
    if (question->is_odd || question->count < ZAP_FRAMES ||
        !text_is(zap_question_frame(question, ZAP_VERSION), "1.0"))
        return false;
    if (text_is(mechanism, "NULL")) {
        if (question->count != ZAP_FRAMES ||
            !zap_process_of(zap_question_frame(question, ZAP_ADDRESS), &process))
            return false;
        peer_of_process(process.uid, process.gid, process.pid, out_peer);
        return true;
    }
    if (!text_is(mechanism, "CURVE") || question->count != ZAP_FRAMES + 1 ||
        question->lens[ZAP_KEY] != CURVE_BYTES)
        return false;
    z85_encode((const uint8_t *)question->frames[ZAP_KEY], CURVE_BYTES, z85);
    peer_of_key(z85, out_peer);
    return true;
}
