#include "client/sequence.h"

#include <string.h>

void sequence_looked(struct sequence *sequence, uint64_t seq)
{
    if (!sequence->has_looked || seq > sequence->looked)
        sequence->looked = seq;
    sequence->has_looked = true;
}

enum sequence_step sequence_live(struct sequence *sequence, uint64_t seq)
{
    if (sequence->has_looked && seq <= sequence->looked)
        return SEQUENCE_SEEN;
    if (sequence->has_looked && seq > sequence->looked + 1)
        return SEQUENCE_GAP;
    sequence_looked(sequence, seq);
    return SEQUENCE_NEW;
}

enum sequence_step sequence_alive(struct sequence *sequence, uint64_t seq)
{
    if (sequence->has_looked && seq > sequence->looked)
        return SEQUENCE_GAP;
    sequence_looked(sequence, seq);
    return SEQUENCE_SEEN;
}

bool sequence_is_wanted(const char *const *topics, struct text topic)
{
    if (!topics || !topics[0])
        return true;
    for (; *topics; topics++) {
        size_t len = strlen(*topics);
        if (topic.len >= len && memcmp(topic.data, *topics, len) == 0)
            return true;
    }
    return false;
}
