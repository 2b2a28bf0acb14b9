/* The server: the only place that wires parts together. Listeners, connections, the broker, the
 * clock. server_run() is the loop thread; the functions marked so may be called from any thread. */
#ifndef LEAT_SERVER_SERVER_H
#define LEAT_SERVER_SERVER_H

#include "broker/settings.h"

struct server;

/* Binds, takes the directory and begins to load what is in it. NULL with *ret_error (mem_free it).
 * The calling thread becomes the loop thread unless server_run is called on another one before
 * anything else. */
struct server *server_new(const struct settings *settings, char **ret_error);
void server_free(struct server *s);
/* Runs until server_stop; 0, or 1 when the journal failed (the reason was logged) or the data could
 * not be loaded (server_load_error tells why). */
int server_run(struct server *s);
/* Any thread, and signal handlers. */
void server_stop(struct server *s);
/* A new connection to the broker over a socket pair, trusted: returns the client's end (owned by
 * the caller), or -errno. Any thread. */
int server_connect(struct server *s);
/* The TCP port that was bound; 0 when none. */
int server_port(const struct server *s);
/* While it loads it listens, and says so to whoever asks for data. Any thread. */
enum server_state { SERVER_LOADING, SERVER_READY, SERVER_ENDED };
enum server_state server_state(const struct server *s);
/* After SERVER_ENDED: why the data could not be loaded; NULL when that was not the reason. */
const char *server_load_error(const struct server *s);
/* True while the loop runs, the data is there and the journal is well. Any thread. */
bool server_is_well(const struct server *s);

#endif
