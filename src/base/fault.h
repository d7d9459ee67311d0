/* Named points at which a test can end the process, compiled in only with --enable-fault-points.
 * Thread: any.
 *
 * BURSAR_FAULT_POINT=name:n in the environment ends the process with SIGKILL when the point of that
 * name is reached for the n-th time (`name` alone: the first). */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#ifdef BURSAR_FAULT_POINTS
void fault_point(const char *name);
#else
static inline void fault_point(const char *name)
{
    (void)name;
}
#endif

#endif
