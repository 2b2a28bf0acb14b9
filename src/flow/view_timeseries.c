/* The time series: how many events per interval, in all and by the value of a field.
 *
 *   HINCRBY total <bucket> 1;  HINCRBY series(value) <bucket> 1;  SADD members value
 *
 * bucket: the time of arrival in Unix seconds, rounded down to the interval. Once per interval, and
 * at the start, buckets older than the history are removed. */
#include "base/mem.h"
#include "base/num.h"
#include "flow/batch.h"
#include "flow/sweep.h"
#include "flow/view.h"

struct timeseries {
    struct sweep *sweep;
    int64_t swept; /* the bucket in which the last round began; -1: none yet */
    struct buf key;
};

static int64_t bucket_of(const struct flow_view *spec, int64_t now_s)
{
    return now_s - now_s % spec->interval_s;
}

static int take(struct view *v, struct bytes message, int64_t now_s, struct batch *batch,
                const char **ret_why)
{
    const struct flow_view *spec = view_spec(v);
    struct timeseries *t = *view_state(v);
    char digits[NUM_I64_MAX];
    struct bytes bucket = {digits, num_format_i64(digits, bucket_of(spec, now_s))};
    struct bytes value;
    if (spec->by != NULL) {
        if (view_field(v, message, spec->by, &value, ret_why) != 0) return -1;
        flow_series_key(spec, value, &t->key);
        batch_add(batch, BATCH_HINCRBY, buf_bytes(&t->key), bucket, 1);
        batch_add(batch, BATCH_SADD, bytes_of(spec->members), value, 1);
    }
    batch_add(batch, BATCH_HINCRBY, bytes_of(spec->total), bucket, 1);
    return 0;
}

static void on_sweep_error(void *arg, struct bytes text)
{
    view_note_error(arg, text);
}

static void start(struct view *v)
{
    struct timeseries *t = mem_calloc(sizeof(*t));
    t->swept = -1;
    t->sweep = sweep_new(view_spec(v), view_client(v), on_sweep_error, v);
    *view_state(v) = t;
}

static void tick(struct view *v, int64_t now_s)
{
    const struct flow_view *spec = view_spec(v);
    struct timeseries *t = *view_state(v);
    int64_t bucket = bucket_of(spec, now_s);
    if (t->swept == bucket) return;
    if (sweep_start(t->sweep, bucket - spec->history_s)) t->swept = bucket;
}

static void stop(struct view *v)
{
    struct timeseries *t = *view_state(v);
    if (t == NULL) return;
    sweep_free(t->sweep);
    buf_fini(&t->key);
    mem_free(t);
}

const struct view_type view_timeseries = {take, start, tick, stop};
