/* Addresses as the clients of Redis write them:
 *     redis://[[user]:password@]host[:port][/db][?db=n]
 *     unix://[[user]:password@]/path[?db=n]
 * User, password and path are percent-decoded; an IPv6 address stands in brackets. */
#ifndef LEAT_CLIENT_URL_H
#define LEAT_CLIENT_URL_H

#include <stdbool.h>

struct leat_url {
    bool is_unix;
    char *host; /* or the path of a unix socket; never NULL */
    char *user; /* NULL: none */
    char *password;
    char port[6];
    int db;
};

/* 0, or -EINVAL with a static sentence in *ret_error; on failure *ret needs no fini. */
int leat_url_parse(const char *text, struct leat_url *ret, const char **ret_error);
void leat_url_fini(struct leat_url *u);

#endif
