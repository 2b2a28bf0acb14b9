/* Scoreboards: /api/scoreboard and the path a view serves; and /readyz, the shortest question. */
#include "base/mem.h"
#include "cli/dashboard_priv.h"

static void put_entry(struct json_out *j, const struct leat_reply *member,
                      const struct leat_reply *score)
{
    double value = 0;
    json_out_object(j);
    json_out_key(j, "member");
    json_out_string(j, reply_bytes(member));
    json_out_key(j, "score");
    if (reply_double(score, &value)) {
        json_out_number(j, value);
    } else {
        json_out_null(j);
    }
    json_out_object_end(j);
}

/* Members and scores in turn (RESP2), or pairs of them (RESP3). */
static void put_entries(struct json_out *j, const struct leat_reply *reply)
{
    size_t n = leat_reply_count(reply);
    bool pairs = n > 0 && leat_reply_type(leat_reply_at(reply, 0)) == LEAT_ARRAY;
    json_out_array(j);
    for (size_t i = 0; pairs && i < n; i++) {
        const struct leat_reply *pair = leat_reply_at(reply, i);
        if (leat_reply_count(pair) != 2) continue;
        put_entry(j, leat_reply_at(pair, 0), leat_reply_at(pair, 1));
    }
    for (size_t i = 0; !pairs && i + 1 < n; i += 2) {
        put_entry(j, leat_reply_at(reply, i), leat_reply_at(reply, i + 1));
    }
    json_out_array_end(j);
}

static void on_scores(void *arg, const struct leat_reply *reply)
{
    struct panel *p = arg;
    struct buf body = {0};
    struct json_out j;
    const char *problem = reply_problem(reply);
    if (!problem && !p->dash) problem = "the dashboard is going down";
    if (problem) {
        panel_fail(p, 502, problem);
        return;
    }
    json_out_init(&j, &body);
    if (p->type == &panel_scoreboard) {
        json_out_object(&j);
        json_out_key(&j, "view");
        json_out_text(&j, p->view->id);
        json_out_key(&j, "top");
        put_entries(&j, reply);
        json_out_object_end(&j);
    } else {
        put_entries(&j, reply);
    }
    panel_done(p, &body);
}

static void fetch_scores(struct panel *p)
{
    int64_t top = p->top < 1 ? 1 : p->top > DASH_TOP_MAX ? DASH_TOP_MAX : p->top;
    if (leat_client_state(p->dash->client) != LEAT_CONNECTED) {
        panel_fail(p, 503, "the broker is not connected");
    } else if (leat_commandf(p->dash->client, on_scores, p, "ZREVRANGE %s 0 %lld WITHSCORES",
                             p->view->key, (long long)top - 1) < 0) {
        panel_fail(p, 503, "too many queries wait for the broker");
    }
}

const struct panel_type panel_scoreboard = {.event = "scoreboard",
                                            .content_type = "application/json",
                                            .period_ms = 1000,
                                            .fresh_ms = 200,
                                            .fetch = fetch_scores};

/* Asked anew for each request, as who asks may just have written. */
const struct panel_type panel_serve = {
    .content_type = "application/json", .period_ms = 1000, .fresh_ms = 0, .fetch = fetch_scores};

static void on_pong(void *arg, const struct leat_reply *reply)
{
    struct panel *p = arg;
    struct buf body = {0};
    const char *problem = reply_problem(reply);
    if (!problem && !p->dash) problem = "the dashboard is going down";
    if (problem) {
        panel_fail(p, 503, problem);
        return;
    }
    buf_put(&body, BYTES("ready\n"));
    panel_done(p, &body);
}

static void fetch_ready(struct panel *p)
{
    if (leat_client_state(p->dash->client) != LEAT_CONNECTED) {
        panel_fail(p, 503, "the broker is not connected");
    } else if (leat_commandf(p->dash->client, on_pong, p, "PING") < 0) {
        panel_fail(p, 503, "too many queries wait for the broker");
    }
}

const struct panel_type panel_ready = {.content_type = "text/plain; charset=utf-8",
                                       .period_ms = 1000,
                                       .fresh_ms = 0,
                                       .fetch = fetch_ready};
