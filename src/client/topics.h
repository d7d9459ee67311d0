/* What the topics of a subscription have in common.
 * Thread: any; pure function. */
#ifndef CLIENT_TOPICS_H
#define CLIENT_TOPICS_H

/* Gives the one owner whom all of the NULL-ended beginnings of topics name whole (`reauth/acme/`),
 * decoded, or NULL where there is none; free() ends it. 0 or BURSAR_E_NOMEM. */
int topics_owner(const char *const *topics, char **out_owner);

#endif
