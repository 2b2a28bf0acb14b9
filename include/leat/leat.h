/* libleat: a client of everything that speaks the Redis protocol. Opaque types only.
 *
 * One thread per event base: every call and every callback happens on the thread that runs the
 * event base given at creation. Strings handed in are copied; replies handed out are borrowed until
 * the callback returns. */
#ifndef LEAT_LEAT_H
#define LEAT_LEAT_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define LEAT_API __attribute__((visibility("default")))
#else
#define LEAT_API
#endif

struct event_base; /* libevent */
struct leat_client;
struct leat_reply;

/* ---- Replies ---- */

/* RESP2 knows the first five and arrays. The others come when the program itself sent HELLO 3 (on
 * each connection anew: from on_state). */
enum leat_type {
    LEAT_NULL,
    LEAT_STRING,
    LEAT_STATUS,
    LEAT_ERROR,
    LEAT_INTEGER,
    LEAT_DOUBLE,
    LEAT_BOOL,
    LEAT_ARRAY,
    LEAT_MAP,
    LEAT_SET,
    LEAT_PUSH,
};

LEAT_API enum leat_type leat_reply_type(const struct leat_reply *r);
/* The bytes of a string, status or error (which begins with its code: "ERR ..."); NULL and 0 for
 * other types. Zero-terminated as well. ret_len may be NULL. */
LEAT_API const char *leat_reply_text(const struct leat_reply *r, size_t *ret_len);
/* Of an integer; 1 or 0 of a boolean; 0 of other types. */
LEAT_API int64_t leat_reply_integer(const struct leat_reply *r);
/* Of a double (infinite and not-a-number too), or of an integer; 0 of other types. */
LEAT_API double leat_reply_double(const struct leat_reply *r);
/* Elements of an array, set or push; of a map, keys and values in turn (2 per pair). */
LEAT_API size_t leat_reply_count(const struct leat_reply *r);
/* Lives as long as `r`; NULL when index is not below the count. */
LEAT_API const struct leat_reply *leat_reply_at(const struct leat_reply *r, size_t index);
/* The value of `key` in a map, or in an array of keys and values in turn, as RESP2 writes maps.
 * Lives as long as `r`; NULL when it is not there, or `r` is neither (or NULL). */
LEAT_API const struct leat_reply *leat_reply_get(const struct leat_reply *r, const char *key);

/* ---- Connection ---- */

enum leat_state {
    LEAT_CONNECTING,
    LEAT_CONNECTED,
    LEAT_WAITING, /* before the next attempt; for good when the client was made from an fd */
};

struct leat_options {
    const char *url;        /* redis://[[user]:password@]host[:port][/db], unix:///path?db=n */
    int fd;                 /* when url is NULL: a connected stream socket, owned from here on */
    const char *name;       /* CLIENT SETNAME; NULL for none */
    int connect_timeout_ms; /* per address, and for the greeting; 0: 5,000 */
    int ping_interval_ms; /* a silent peer is asked, and dropped when it stays silent; 0: 15,000 */
    int backoff_min_ms;   /* 0: 100; the wait is random, below a bound that doubles from this */
    int backoff_max_ms;   /* 0: 10,000 */
    size_t pending_max;   /* commands without a reply; more are refused. 0: 1,048,576 */
    /* Called on every change of state; `why` is NULL or one sentence, borrowed. May be NULL. */
    void (*on_state)(void *arg, enum leat_state state, const char *why);
    void *arg;
};

/* Starts to connect and reconnects for ever (a client made from an fd cannot reconnect). No
 * callback comes before the loop runs. Each connection begins with AUTH, SELECT and CLIENT SETNAME
 * as asked, and PING; one that is refused counts as not made.
 *
 * A peer silent for ping_interval_ms gets a PING, unless commands are pending; silent for another
 * ping_interval_ms it is dropped. Commands that wait (BLPOP, XREAD BLOCK ...) extend this by their
 * own time. Host names are looked up on a thread of the library.
 *
 * NULL with *ret_error (static) when the URL is not one; options->fd stays the caller's then. */
LEAT_API struct leat_client *leat_client_new(struct event_base *base,
                                             const struct leat_options *options,
                                             const char **ret_error);
/* Pending callbacks are called with a NULL reply; on_state is not. May be called from any callback.
 * NULL is fine. */
LEAT_API void leat_client_free(struct leat_client *c);
LEAT_API enum leat_state leat_client_state(const struct leat_client *c);

/* `reply` is NULL when the outcome is unknown: the connection broke before the reply came. */
typedef void (*leat_reply_fn)(void *arg, const struct leat_reply *reply);

/* Sends one command (argc arguments with their lengths; lens NULL: zero-terminated) when connected;
 * while not connected it waits in the queue and is sent on connection. fn may be NULL. Commands
 * given while connected belong to that connection: when it breaks, fn gets NULL and they are not
 * sent again, so that the end of a MULTI is never executed without its beginning. The callbacks of
 * a broken connection come in order, and before on_state.
 *
 * 0; -ENOBUFS: pending_max, or 256 MB not yet written; -EINVAL: no argument, or the client is for
 * subscriptions; -ENOTCONN: the socket of a client made from an fd is gone. fn is not called then.
 */
LEAT_API int leat_command(struct leat_client *c, int argc, const char *const *argv,
                          const size_t *lens, leat_reply_fn fn, void *arg);
/* The same from words: every %s a zero-terminated string, %b a (const void *, size_t) pair, %lld a
 * long long, %% a percent sign; split at spaces of the format only ("SET user:%s %b" has three
 * words whatever is in the strings). -EINVAL also for any other conversion. */
LEAT_API int leat_commandf(struct leat_client *c, leat_reply_fn fn, void *arg, const char *format,
                           ...);
/* Commands sent or queued without a reply so far. */
LEAT_API size_t leat_client_pending(const struct leat_client *c);

/* ---- Subscriptions ---- */

/* `pattern` is NULL for a plain channel. */
typedef void (*leat_message_fn)(void *arg, const char *pattern, const char *channel,
                                size_t channel_len, const char *message, size_t message_len);
/* Called each time the server has confirmed the subscription: at first, and after each reconnect
 * (what was published in between is lost on an ordinary channel). */
typedef void (*leat_subscribed_fn)(void *arg, const char *channel);

/* Subscribes, and again after each reconnect. The client is for subscriptions from then on (it
 * speaks RESP2); commands go through another one. A server that refuses a subscription is as one
 * that cannot be reached: on_state says why, and it is tried again. on_subscribed may be NULL.
 *
 * 0; -EEXIST: subscribed already; -EBUSY: commands are pending; -ENOTCONN as for leat_command. */
LEAT_API int leat_subscribe(struct leat_client *c, const char *channel, leat_message_fn on_message,
                            leat_subscribed_fn on_subscribed, void *arg);
/* No message of it is delivered from here on. 0, or -ENOENT. */
LEAT_API int leat_unsubscribe(struct leat_client *c, const char *channel);
/* The same for a pattern as of PSUBSCRIBE: h?llo, h*llo, h[ae]llo. A message that matches several
 * subscriptions comes once for each. */
LEAT_API int leat_psubscribe(struct leat_client *c, const char *pattern, leat_message_fn on_message,
                             leat_subscribed_fn on_subscribed, void *arg);
LEAT_API int leat_punsubscribe(struct leat_client *c, const char *pattern);
/* Stops and resumes reading from the socket, so that the peer feels the back-pressure. No callback
 * comes while paused, except that a write may find the connection broken; silence is not held
 * against the peer. May be called from any callback. */
LEAT_API void leat_client_pause(struct leat_client *c);
LEAT_API void leat_client_resume(struct leat_client *c);

#endif
