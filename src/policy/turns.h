/* Who goes next where not all can go at once.
 * Thread: the owner's.
 *
 * Those that a caller waits for go before those that only the planner wants, and among each the owners in
 * turn, so that nobody with a thousand connections stands before somebody with one. */
#ifndef POLICY_TURNS_H
#define POLICY_TURNS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

enum turn_class { TURN_CALLER, TURN_PLANNER, TURN_CLASS_END };

struct turn_owner;

/* One that waits; a member of what waits. Zero: it does not. */
struct turn {
    struct turn *next, *previous; /* of the same owner, oldest first */
    struct turn_owner *owner;
};

struct turns {
    struct turn_owner *owners[TURN_CLASS_END]; /* hash tables */
    struct turn_owner *first[TURN_CLASS_END];  /* whose turn is next; a ring */
    size_t count;
};

/* Copies the owner. */
void turns_add(struct turns *turns, struct turn *turn, enum turn_class class, struct text owner);
/* One that does not wait may be given too. */
void turns_remove(struct turns *turns, struct turn *turn);
bool turn_waits(const struct turn *turn);
enum turn_class turn_class_of(const struct turn *turn);
/* A caller has come for what only the planner wanted: it goes to the end of its owner's callers. */
void turns_raise(struct turns *turns, struct turn *turn);
/* Takes out the one whose turn it is; NULL: nobody waits. */
struct turn *turns_next(struct turns *turns);
/* How many will have gone before a caller of this owner who comes now. Others may still come before it,
 * but no owner more often than it waited itself. */
size_t turns_ahead(const struct turns *turns, struct text owner);

#endif
