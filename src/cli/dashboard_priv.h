/* What the files of the dashboard share; for nobody else.
 *
 * All answers come from *panels*. A panel is one question (series of view v for keys a and b, say)
 * with its last answer as JSON. Whoever asks the same question shares the panel: HTTP requests wait
 * for it, event streams (*viewers*) are sent it whenever it changed. So the broker is asked once
 * per question and second, however many browsers look.
 *
 *   request -> panel_request --.                    .-> waiting requests are answered
 *   viewer  -> panel_attach  --+-> type->fetch ... panel_done
 *   ticker  -> due panels    --'                    `-> viewers_send to those attached
 *
 * A fetch under way holds a reference to its panel, so replies may come after anything. */
#ifndef LEAT_CLI_DASHBOARD_PRIV_H
#define LEAT_CLI_DASHBOARD_PRIV_H

#include "base/map.h"
#include "cli/dashboard.h"
#include "flow/flow.h"
#include "http/gateway.h"
#include "http/json_out.h"
#include "leat/leat.h"

enum {
    DASH_KEYS_MAX = 24,       /* keys in one question: 400 beyond */
    DASH_PANELS_MAX = 1024,   /* questions at a time: 503 beyond */
    DASH_BUCKETS_MAX = 4000,  /* bars of one series; the latest are shown */
    DASH_MEMBERS_MAX = 5000,  /* keys listed of one view; further ones are left out */
    DASH_MEMBERS_WINDOW = 64, /* queries of one members list under way at a time */
    DASH_TOP_MAX = 1000,      /* rows of a scoreboard */
    DASH_TIMEOUT_MS = 5000,   /* a question without an answer: 504 */
    DASH_UNUSED_MS = 30000,   /* a panel nobody asked for in this time is forgotten */
    DASH_RATE_SAMPLES = 61,   /* one a second */
};

struct panel;

struct panel_type {
    const char *event;              /* name on event streams; NULL: not sent there */
    const char *content_type;       /* of the answer to a request */
    int period_ms;                  /* how often it is asked anew while viewers look */
    int fresh_ms;                   /* a request is answered from what is this young */
    void (*fetch)(struct panel *p); /* ends in panel_done or panel_fail, now or later */
};

struct panel {
    struct dashboard *dash; /* NULL: the dashboard is gone, only a fetch still holds the panel */
    const struct panel_type *type;
    int refs;
    char *key; /* type, view and parameters, as one string of bytes */
    size_t key_len;
    const struct flow_view *view; /* NULL: of none */
    char **keys;
    size_t key_count;
    int64_t top;
    struct buf body;                    /* the last answer; empty: none yet */
    uint64_t version;                   /* counts the changes of body */
    int64_t made_ms, used_ms, asked_ms; /* monotonic */
    int64_t period_ms;                  /* of this panel; grows with what a fetch costs */
    bool fetching;
    struct http_request **waiting;
    size_t waiting_count, waiting_cap;
    size_t viewers;
};

struct viewer; /* one browser's event stream; dashboard_viewer.c */

struct served; /* a view and the path it serves; dashboard.c */

struct rate_sample {
    int64_t at_ms;
    uint64_t events;
};

struct dashboard {
    struct event_base *base;
    const struct flow *flow;
    const struct flow_runner *runner;
    struct leat_client *client;
    const char *version;
    char *engine;
    struct map panels;
    struct viewer *viewers;
    struct served *served;
    struct event *ticker;
    struct rate_sample samples[DASH_RATE_SAMPLES];
    size_t sample_count; /* in all; the latest is at (sample_count - 1) % DASH_RATE_SAMPLES */
};

int64_t dash_mono_ms(void);
int64_t dash_unix_ms(void);

/* ---- dashboard_panel.c ---- */

struct panel_query {
    const struct panel_type *type;
    const struct flow_view *view;
    const char *const *keys;
    size_t key_count;
    int64_t top;
};
/* The panel of this question, found or made; NULL when there are too many. Borrowed until the loop
 * turns, unless it is attached or requested. */
struct panel *panel_get(struct dashboard *d, const struct panel_query *query);
/* Answers r from the panel: at once when it is fresh, else when the fetch is done. */
void panel_request(struct panel *p, struct http_request *r);
void panel_refresh(struct panel *p);
void panel_ref(struct panel *p);
void panel_unref(struct panel *p);
/* The fetch is done. Takes what is in `body`. */
void panel_done(struct panel *p, struct buf *body);
/* The fetch failed: those who wait get this error; viewers keep what they have. */
void panel_fail(struct panel *p, int status, const char *why);
/* Asks due panels, answers those who waited too long, forgets unused panels. */
void panels_tick(struct dashboard *d);
extern const struct map_type panel_map_type;

/* ---- dashboard_viewer.c ---- */

/* Opens the event stream; its view and keys come from the request's query. */
void viewer_open(struct http_request *r, void *dashboard);
void viewers_send(struct panel *p);

/* ---- dashboard_reply.c: reading replies ---- */

/* The integer in an integer or a string; false when there is none. */
bool reply_int(const struct leat_reply *r, int64_t *ret);
bool reply_double(const struct leat_reply *r, double *ret);
/* Borrowed from the reply; empty when it is no string. */
struct bytes reply_bytes(const struct leat_reply *r);
/* NULL when `r` is a reply without error; else what to say, borrowed from r or static. */
const char *reply_problem(const struct leat_reply *r);

/* ---- The panels: status, series, members, scores ---- */

extern const struct panel_type panel_status, panel_series, panel_members, panel_scoreboard,
    panel_serve, panel_ready;

/* Takes a sample of the sources' counters, for the rate. */
void status_sample(struct dashboard *d);
/* A URL without the password in it; mem_free'd by the caller. */
char *status_plain_url(const char *url);

/* ---- dashboard_question.c: which view and keys a request means ---- */

/* The view of this type and id; of the first when id is NULL. NULL when there is none. */
const struct flow_view *question_view(const struct dashboard *d, enum flow_view_type type,
                                      const char *id);
/* Fills `keys` (of DASH_KEYS_MAX) from the query; false when there are too many. */
bool question_keys(struct http_request *r, const char **keys, size_t *ret_count);

#endif
