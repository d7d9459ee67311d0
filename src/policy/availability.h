/* How far ahead of its end a secret must be refreshed, so that a good one is there for the wanted share of time.
 * Thread: the owner's; the functions touch what they are given alone.
 *
 * What a provider was seen to do is kept in classes of powers of two: how long it failed without a break,
 * and how its requests went. It is forgotten by half whenever a month is full, and begins with one outage
 * that nobody has seen: a provider is not taken for perfect because it was only watched for a minute. */
#ifndef POLICY_AVAILABILITY_H
#define POLICY_AVAILABILITY_H

#include <stdbool.h>
#include <stdint.h>

#define AVAILABILITY_OUTAGES 20        /* classes: up to 1, 2, 4 … seconds; the last has no end */
#define AVAILABILITY_ASSUMED_S 900     /* the outage that is assumed at the beginning */
#define AVAILABILITY_MONTH_S 2592000   /* … in so much time */
#define AVAILABILITY_SHARE_OF_LIFE 0.5 /* no more of a life than this is given away */

struct availability {
    double outages[AVAILABILITY_OUTAGES]; /* how many; forgetting makes fractions of them */
    double watched_s;
    int64_t failing_since_ms; /* boot time; 0: it answers */
    double covered_s,
        missing_s; /* time of secrets that were looked at, and how much of it none was good */
};

void availability_init(struct availability *availability);
/* An attempt was made: did the provider answer? Being asked to wait is an answer. */
void availability_note(struct availability *availability, bool is_answered, int64_t now_ms);
/* Time passed in which it was there to be watched. */
void availability_watched(struct availability *availability, double seconds);
/* A connection had a secret until ended_at (EXPIRY_NEVER: for ever) and is looked at for the time from since to now,
 * seconds since 1970. */
void availability_cover(struct availability *availability, int64_t since, int64_t ended_at,
                        int64_t now);

/* The share of time, in [0, 1], that no secret of this life is good where each is refreshed lead_s before its end. */
double availability_missing(const struct availability *availability, int64_t life_s,
                            int64_t lead_s);

struct availability_rule {
    double target;        /* a share of time, in (0, 1); 0: none is wanted */
    int64_t attempt_ms;   /* that an attempt takes when it is slow */
    double failing_share; /* of attempts, in [0, 1] */
};

/* The smallest lead that meets the target, and half a life where none does; 0 where none is wanted. */
int64_t availability_lead_s(const struct availability *availability,
                            const struct availability_rule *rule, int64_t life_s);
/* The share of covered time that a good secret was there; 1 where nothing was covered. */
double availability_measured(double covered_s, double missing_s);

#endif
