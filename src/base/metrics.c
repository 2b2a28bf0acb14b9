/* The registry is a list sorted by name, so that metrics which differ in labels only stand together
 * as the text format wants them. The lock guards the links and what gauges are about; values are
 * read as they are. */
#include "base/metrics.h"

#include <pthread.h>

#include "base/mem.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct metric *first;

void metrics_register(struct metric *m)
{
    pthread_mutex_lock(&lock);
    struct metric **at = &first;
    while (*at != NULL && *at != m && strcmp((*at)->name, m->name) <= 0) at = &(*at)->next;
    if (*at != m) {
        m->next = *at;
        *at = m;
    }
    pthread_mutex_unlock(&lock);
}

void metrics_put_label(struct buf *labels, const char *key, struct bytes value)
{
    buf_printf(labels, "%s%s=\"", labels->len > 0 ? "," : "", key);
    for (size_t i = 0; i < value.len && i < METRIC_LABEL_MAX; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if (c == '"' || c == '\\') buf_printf(labels, "\\%c", c);
        else if (c < ' ' || c > '~') buf_printf(labels, "\\\\x%02x", c);
        else buf_putc(labels, (char)c);
    }
    if (value.len > METRIC_LABEL_MAX) buf_put(labels, BYTES("..."));
    buf_putc(labels, '"');
}

void metric_set_about(struct metric *m, struct bytes labels, int64_t n)
{
    bool same = bytes_eq(labels, m->about != NULL ? bytes_of(m->about) : BYTES(""));
    if (same) {
        metric_set(m, n);
        return;
    }
    char *text = labels.len == 0 ? NULL : mem_alloc(labels.len + 1);
    if (text != NULL) {
        memcpy(text, labels.data, labels.len);
        text[labels.len] = '\0';
    }
    pthread_mutex_lock(&lock);
    char *old = m->about;
    m->about = text;
    metric_set(m, n);
    pthread_mutex_unlock(&lock);
    mem_free(old);
}

/* Bucket i counts what is at most 2^i microseconds and more than 2^(i-1). */
static int bucket_of(int64_t us)
{
    if (us <= 1) return 0;
    int i = 64 - __builtin_clzll((unsigned long long)us - 1);
    return i < METRIC_BUCKETS ? i : METRIC_BUCKETS;
}

void metric_observe_us(struct metric *m, int64_t us)
{
    if (us < 0) us = 0; /* a clock that was set back */
    atomic_fetch_add_explicit(&m->buckets[bucket_of(us)], 1, memory_order_relaxed);
    metric_add(m, us);
}

static int64_t bucket_get(const struct metric *m, int i)
{
    return atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
}

int64_t metric_quantile_us(const struct metric *m, double q)
{
    int64_t total = 0, below = 0;
    for (int i = 0; i <= METRIC_BUCKETS; i++) total += bucket_get(m, i);
    if (total == 0) return 0;
    for (int i = 0; i <= METRIC_BUCKETS; i++) {
        below += bucket_get(m, i);
        if ((double)below >= q * (double)total && below > 0) return (int64_t)1 << i;
    }
    return (int64_t)1 << METRIC_BUCKETS;
}

static void put_help(struct buf *out, const char *help)
{
    for (const char *c = help; *c != '\0'; c++) {
        if (*c == '\\') {
            buf_put(out, BYTES("\\\\"));
        } else if (*c == '\n') {
            buf_put(out, BYTES("\\n"));
        } else {
            buf_putc(out, *c);
        }
    }
}

static void put_header(struct buf *out, const struct metric *m)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    buf_printf(out, "# HELP %s ", m->name);
    put_help(out, m->help == NULL ? "" : m->help);
    buf_printf(out, "\n# TYPE %s %s\n", m->name, types[m->kind]);
}

static void put_labels(struct buf *out, const struct metric *m)
{
    const char *labels = m->about != NULL ? m->about : m->labels;
    if (labels != NULL && *labels != '\0') buf_printf(out, "{%s}", labels);
}

static void put_seconds(struct buf *out, int64_t us)
{
    buf_printf(out, "%lld.%06lld", (long long)(us / 1000000), (long long)(us % 1000000));
}

static void put_histogram(struct buf *out, const struct metric *m)
{
    const char *labels = m->labels == NULL ? "" : m->labels;
    const char *comma = *labels == '\0' ? "" : ",";
    int64_t sum = metric_get(m), below = 0;
    for (int i = 0; i <= METRIC_BUCKETS; i++) {
        below += bucket_get(m, i);
        buf_printf(out, "%s_bucket{%s%sle=\"", m->name, labels, comma);
        if (i < METRIC_BUCKETS) {
            put_seconds(out, (int64_t)1 << i);
        } else {
            buf_put(out, BYTES("+Inf"));
        }
        buf_printf(out, "\"} %lld\n", (long long)below);
    }
    buf_printf(out, "%s_sum", m->name);
    put_labels(out, m);
    buf_putc(out, ' ');
    put_seconds(out, sum);
    buf_printf(out, "\n%s_count", m->name);
    put_labels(out, m);
    buf_printf(out, " %lld\n", (long long)below);
}

static void put_value(struct buf *out, const struct metric *m)
{
    buf_put(out, bytes_of(m->name));
    put_labels(out, m);
    buf_printf(out, " %lld\n", (long long)(m->read != NULL ? m->read() : metric_get(m)));
}

void metrics_expose(struct buf *out)
{
    const char *name = "";
    pthread_mutex_lock(&lock);
    for (const struct metric *m = first; m != NULL; m = m->next) {
        if (strcmp(name, m->name) != 0) put_header(out, m);
        name = m->name;
        if (m->kind == METRIC_HISTOGRAM_US) {
            put_histogram(out, m);
        } else {
            put_value(out, m);
        }
    }
    pthread_mutex_unlock(&lock);
}
