#include "policy/turns.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "base/mutation.h"

struct turn_owner {
    UT_hash_handle hh;
    struct turn_owner *next, *previous; /* the ring */
    enum turn_class class;
    struct turn *oldest, *newest;
    size_t count;
    size_t len;
    char name[];
};

static struct turn_owner *find(const struct turns *turns, enum turn_class class, struct text name)
{
    struct turn_owner *owner = NULL;
    HASH_FIND(hh, turns->owners[class], name.data, name.len, owner);
    return owner;
}

/* The new one comes last: before the one whose turn is next. */
static struct turn_owner *add_owner(struct turns *turns, enum turn_class class, struct text name)
{
    struct turn_owner *owner = calloc(1, sizeof *owner + name.len + 1), **first;
    if (!owner)
        abort();
    owner->class = class;
    owner->len = name.len;
    if (name.len > 0)
        memcpy(owner->name, name.data, name.len);
    HASH_ADD_KEYPTR(hh, turns->owners[class], owner->name, owner->len, owner);
    first = &turns->first[class];
    if (!*first) {
        *first = owner->next = owner->previous = owner;
        return owner;
    }
    owner->next = *first;
    owner->previous = (*first)->previous;
    owner->previous->next = owner->next->previous = owner;
    return owner;
}

static void remove_owner(struct turns *turns, struct turn_owner *owner)
{
    struct turn_owner **first = &turns->first[owner->class];
    if (owner->next == owner) {
        *first = NULL;
    } else {
        owner->next->previous = owner->previous;
        owner->previous->next = owner->next;
        if (*first == owner)
            *first = owner->next;
    }
    HASH_DEL(turns->owners[owner->class], owner);
    free(owner);
}

void turns_add(struct turns *turns, struct turn *turn, enum turn_class class, struct text name)
{
    if (BURSAR_MUTATION == 20)
        name.len = 0;
    struct turn_owner *owner = find(turns, class, name);
    if (!owner)
        owner = add_owner(turns, class, name);
    turn->owner = owner;
    turn->next = NULL;
    turn->previous = owner->newest;
    if (owner->newest)
        owner->newest->next = turn;
    else
        owner->oldest = turn;
    owner->newest = turn;
    owner->count++;
    turns->count++;
}

void turns_remove(struct turns *turns, struct turn *turn)
{
    struct turn_owner *owner = turn->owner;
    if (!owner)
        return;
    if (turn->previous)
        turn->previous->next = turn->next;
    else
        owner->oldest = turn->next;
    if (turn->next)
        turn->next->previous = turn->previous;
    else
        owner->newest = turn->previous;
    *turn = (struct turn){NULL, NULL, NULL};
    turns->count--;
    if (--owner->count == 0)
        remove_owner(turns, owner);
}

bool turn_waits(const struct turn *turn)
{
    return turn->owner != NULL;
}

enum turn_class turn_class_of(const struct turn *turn)
{
    return turn->owner->class;
}

void turns_raise(struct turns *turns, struct turn *turn)
{
    if (!turn->owner || turn->owner->class == TURN_CALLER)
        return;
    struct turn_owner *owner = turn->owner;
    struct text name = {owner->name, owner->len};
    owner->count++; /* keeps the name while it moves */
    turns_remove(turns, turn);
    turns_add(turns, turn, TURN_CALLER, name);
    if (--owner->count == 0)
        remove_owner(turns, owner);
}

struct turn *turns_next(struct turns *turns)
{
    for (int class = 0; class < TURN_CLASS_END; class ++) {
        struct turn_owner *owner = turns->first[class];
        if (!owner)
            continue;
        struct turn *turn = owner->oldest;
        turns->first[class] = owner->next;
        turns_remove(turns, turn);
        return turn;
    }
    return NULL;
}

size_t turns_ahead(const struct turns *turns, struct text name)
{
    const struct turn_owner *own = find(turns, TURN_CALLER, name);
    const struct turn_owner *owner, *next;
    size_t rank = own ? own->count + 1 : 1, ahead = 0;
    HASH_ITER(hh, turns->owners[TURN_CALLER], owner, next) {
        size_t before = owner == own ? owner->count : owner->count < rank ? owner->count : rank;
        ahead += before;
    }
    return ahead;
}
