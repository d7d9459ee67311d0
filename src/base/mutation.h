/* Rules that can be broken on purpose, to show that the simulation sees it when one is.
 * Thread: any; a constant.
 *
 * tests/sim/mutations.t compiles the files that ask for it with -DBURSAR_MUTATION=1 and so on; nothing
 * else ever does, so that every such place is gone from what is built otherwise. */
#ifndef BASE_MUTATION_H
#define BASE_MUTATION_H

#ifndef BURSAR_MUTATION
#define BURSAR_MUTATION 0
#endif

#endif
