#include "policy/acts_as.h"

enum acts_as acts_as_of(struct text word)
{
    if (text_is(word, "user"))
        return ACTS_AS_USER;
    return text_is(word, "service") ? ACTS_AS_SERVICE : ACTS_AS_EITHER;
}

bool acts_as_allows(enum acts_as acts_as, enum actor actor)
{
    switch (acts_as) {
    case ACTS_AS_USER: return actor == ACTOR_PERSON;
    case ACTS_AS_SERVICE: return actor == ACTOR_SERVICE;
    case ACTS_AS_EITHER: break;
    }
    return true;
}
