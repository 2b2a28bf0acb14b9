/* Host names to addresses, without stopping the loop: each lookup is one getaddrinfo on a thread of
 * its own. The system's resolver is asked rather than one of ours, so that /etc/hosts, the name
 * switch and search domains hold as they do for every other program. */
#ifndef LEAT_CLIENT_LOOKUP_H
#define LEAT_CLIENT_LOOKUP_H

struct addrinfo;
struct event_base;
struct lookup;

/* What needs no lookup: a numeric address, and "localhost" (both loopback addresses). NULL when
 * `host` is neither; the caller frees it by freeaddrinfo. */
struct addrinfo *lookup_at_once(const char *host, const char *port);

/* `found` is the callback's to free; NULL when nothing was, and `why` says why (static). */
typedef void (*lookup_fn)(void *arg, struct addrinfo *found, const char *why);
/* The callback comes from the loop, once; NULL when no thread or descriptor can be had. The lookup
 * is gone when the callback is called. */
struct lookup *lookup_new(struct event_base *base, const char *host, const char *port, lookup_fn fn,
                          void *arg);
/* Before the callback: it will not come. The thread ends when the resolver answers it. NULL is
 * fine. */
void lookup_free(struct lookup *l);

#endif
