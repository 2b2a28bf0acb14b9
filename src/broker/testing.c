#include "broker/testing.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/must.h"
#include "keys/hash.h"
#include "keys/list.h"
#include "keys/set.h"
#include "keys/str.h"
#include "keys/stream.h"
#include "keys/stream_group.h"
#include "keys/stream_idmp.h"
#include "keys/stream_store.h"
#include "keys/zset.h"
#include "resp/request.h"

int64_t bench_now_us = INT64_C(1700000000) * 1000000;

static int64_t now_us(void)
{
    return bench_now_us;
}

static void on_shutdown(void *arg) {}

/* ---- The broker ---- */

void bench_init(struct bench *b)
{
    *b = (struct bench){0};
    settings_init(&b->settings);
    b->settings.sync = JOURNAL_SYNC_NO;
    b->settings.segment_bytes = 1 << 20;
    snprintf(b->dir, sizeof b->dir, "/tmp/leat-bench-XXXXXX");
    must(mkdtemp(b->dir) != NULL);
    mem_free(b->settings.dir);
    b->settings.dir = mem_strdup(b->dir);
}

void bench_open(struct bench *b)
{
    struct broker_options options = {.settings = &b->settings,
                                     .now_us = now_us,
                                     .monotonic_us = now_us,
                                     .on_shutdown = on_shutdown,
                                     .files = b->files};
    char *error = NULL;
    b->broker = broker_new(&options, &error);
    if (b->broker == NULL || broker_load(b->broker, &error) < 0) fprintf(stderr, "%s\n", error);
    must(error == NULL);
    broker_loaded(b->broker);
}

void bench_turn(struct bench *b)
{
    broker_turn_end(b->broker);
    broker_turn_begin(b->broker);
}

void bench_close(struct bench *b)
{
    broker_turn_end(b->broker);
    broker_free(b->broker);
    b->broker = NULL;
}

void bench_remove(struct bench *b)
{
    DIR *dir = opendir(b->dir);
    char path[512];
    struct dirent *e;
    while (dir != NULL && (e = readdir(dir)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", b->dir, e->d_name);
        unlink(path);
    }
    if (dir != NULL) closedir(dir);
    rmdir(b->dir);
    settings_fini(&b->settings);
}

/* ---- Peers ---- */

static void port_close(void *owner, bool after_output)
{
    struct peer *p = owner;
    p->closed = true;
    p->closes_after_output = after_output;
    if (!after_output) broker_session_hangup(p->bench->broker, p->session); /* as a server does */
}

static void port_resume(void *owner)
{
    ((struct peer *)owner)->resumed++;
}

static size_t port_input_bytes(const void *owner)
{
    return 0;
}

static void port_progress(void *owner, struct session_progress *ret)
{
    *ret = ((struct peer *)owner)->progress;
}

static const struct session_port port = {.close = port_close,
                                         .resume = port_resume,
                                         .input_bytes = port_input_bytes,
                                         .progress = port_progress};

static void on_dirty(void *owner) {}

void peer_open(struct peer *p, struct bench *b)
{
    *p = (struct peer){.bench = b};
    p->session = broker_session_open(b->broker, &port, p, on_dirty, -1, "peer:1", "local:1", 0);
}

void peer_close(struct peer *p)
{
    broker_session_hangup(p->bench->broker, p->session);
    broker_session_close(p->bench->broker, p->session);
    buf_fini(&p->reply);
}

struct bytes peer_take(struct peer *p)
{
    struct subscriber *s = &p->session->subscriber;
    struct bytes run;
    p->reply.len = 0;
    while (subscriber_ready(s, UINT64_MAX, &run, 1) > 0) {
        buf_put(&p->reply, run);
        subscriber_sent(s, run.len);
    }
    p->session->out.dirty = false;
    return p->reply.data == NULL ? BYTES("") : buf_bytes(&p->reply);
}

struct bytes peer_run(struct peer *p, const char *line)
{
    struct buf text = {0};
    struct bytes *argv = NULL;
    ssize_t argc = resp_split_line(bytes_of(line), &text, &argv);
    must(argc > 0 && !peer_is_blocked(p));
    broker_exec(p->bench->broker, p->session, (size_t)argc, argv);
    /* What the command kept must be copies: these bytes go now. */
    mem_free(argv);
    buf_fini(&text);
    return peer_take(p);
}

struct bytes peer_run_to_end(struct peer *p, const char *line)
{
    static const struct timespec pause = {.tv_nsec = 50000};
    struct bytes reply = peer_run(p, line);
    if (!peer_is_blocked(p)) return reply;
    for (int i = 0; peer_is_blocked(p); i++) {
        must(i < 100000);
        nanosleep(&pause, NULL);
        bench_turn(p->bench);
    }
    return peer_take(p);
}

bool peer_is_blocked(const struct peer *p)
{
    return p->session->flags & (SESSION_BLOCKED | SESSION_PAUSED);
}

/* ---- Dumping ---- */

static void put_text(struct buf *out, struct bytes text)
{
    buf_printf(out, " %zu:", text.len);
    buf_put(out, text);
}

static int compare_bytes(const void *a, const void *b)
{
    return bytes_cmp(*(const struct bytes *)a, *(const struct bytes *)b);
}

/* Lines gathered in any order, then put in a fixed one. */
struct lines {
    struct buf text;
    size_t *starts;
    size_t count, cap;
};

static void line_begin(struct lines *l)
{
    if (l->count == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        l->starts = mem_realloc(l->starts, l->cap * sizeof *l->starts);
    }
    l->starts[l->count++] = l->text.len;
}

static void lines_put(struct lines *l, struct buf *out)
{
    struct bytes *all = mem_alloc((l->count + 1) * sizeof *all);
    for (size_t i = 0; i < l->count; i++) {
        size_t end = i + 1 < l->count ? l->starts[i + 1] : l->text.len;
        all[i] = (struct bytes){l->text.data + l->starts[i], end - l->starts[i]};
    }
    qsort(all, l->count, sizeof *all, compare_bytes);
    for (size_t i = 0; i < l->count; i++) buf_put(out, all[i]);
    mem_free(all);
    mem_free(l->starts);
    buf_fini(&l->text);
    *l = (struct lines){0};
}

static void dump_hash(const struct key *k, struct buf *out)
{
    struct hash_iter it;
    struct bytes field, value;
    struct lines lines = {0};
    hash_iter_init(&it, k);
    while (hash_iter_next(&it, &field, &value)) {
        line_begin(&lines);
        put_text(&lines.text, field);
        put_text(&lines.text, value);
    }
    hash_iter_fini(&it);
    lines_put(&lines, out);
}

static void dump_set(const struct key *k, struct buf *out)
{
    struct set_iter it;
    struct bytes member;
    struct lines lines = {0};
    set_iter_init(&it, k);
    while (set_iter_next(&it, &member)) {
        line_begin(&lines);
        put_text(&lines.text, member);
    }
    set_iter_fini(&it);
    lines_put(&lines, out);
}

static void dump_zset(const struct key *k, struct buf *out)
{
    struct zset *z = k->value.zset;
    for (size_t i = 0; i < zset_count(z); i++) {
        struct zset_entry e = zset_at(z, i);
        put_text(out, e.member);
        buf_printf(out, "=%.17g", e.score);
    }
}

static void dump_list(const struct key *k, struct buf *out)
{
    struct list_iter it;
    struct bytes value;
    list_iter_init(&it, k, 0, LIST_HEAD);
    while (list_iter_next(&it, &value)) put_text(out, value);
}

static void put_id(struct buf *out, struct stream_id id)
{
    buf_printf(out, " %llu-%llu", (unsigned long long)id.ms, (unsigned long long)id.seq);
}

/* When a consumer asked last is left out: that alone is not recorded. */
static void dump_group(struct group *g, struct stream *s, struct buf *out)
{
    struct pending_iter it;
    struct pending_entry e;
    must(group_settle(g, s) == 0);
    put_text(out, group_name(g));
    put_id(out, g->last_id);
    buf_printf(out, " read %llu lag %llu:", (unsigned long long)group_entries_read(g, s),
               (unsigned long long)group_lag(g, s));
    for (size_t i = 0; i < g->consumer_count; i++) {
        const struct consumer *of = g->consumers[i];
        put_text(out, consumer_name(of));
        buf_printf(out, "/%llu@%lld", (unsigned long long)of->pending, (long long)of->active_ms);
    }
    pending_iter_init(&it, &g->pending, STREAM_ID_MIN, PENDING_ANY, INT64_MAX);
    while (pending_iter_next(&it, &e)) {
        put_id(out, e.id);
        buf_printf(out, "@%lld*%llu", (long long)e.time_ms, (unsigned long long)e.count);
        put_text(out, consumer_name(group_owner(g, &e)));
    }
}

static void dump_message(const struct idmp_message *message, void *arg)
{
    struct lines *lines = arg;
    line_begin(lines);
    put_text(&lines->text, message->pid);
    put_text(&lines->text, message->iid);
    put_id(&lines->text, message->id);
    buf_printf(&lines->text, " @%lld", (long long)message->added_ms);
}

static void dump_idmp(struct stream_idmp *m, struct buf *out)
{
    struct lines lines = {0};
    buf_printf(out, " idmp %u %u %llu", m->duration_s, m->maxsize, (unsigned long long)m->added);
    idmp_walk(m, dump_message, &lines);
    lines_put(&lines, out);
}

/* What a walk gives is also found by its id. */
static void must_find(struct stream *s, struct stream_id id)
{
    struct stream_iter it;
    struct stream_entry e;
    stream_iter_init(&it, s, id, id, false);
    must(stream_iter_next(&it, &e) == 1 && stream_id_cmp(e.id, id) == 0);
    must(stream_iter_next(&it, &e) == 0);
}

static void dump_stream(const struct key *k, struct buf *out)
{
    struct stream *s = stream_of(k);
    struct stream_iter it;
    struct stream_entry e;
    uint64_t n = 0;
    int r;
    bool waited = s->store->wait;
    s->store->wait = true;
    buf_printf(out, " %llu %llu %llu %llu %lld %llu %d", (unsigned long long)s->length,
               (unsigned long long)s->wire_bytes, (unsigned long long)s->entries_added,
               (unsigned long long)s->next_ordinal, (long long)s->retention.age_ms,
               (unsigned long long)s->retention.bytes, s->retention.acknowledged);
    put_id(out, s->last_id);
    put_id(out, s->max_deleted_id);
    if (s->idmp != NULL) dump_idmp(s->idmp, out);
    stream_iter_init(&it, s, STREAM_ID_MIN, STREAM_ID_MAX, false);
    for (; (r = stream_iter_next(&it, &e)) == 1; n++) {
        buf_printf(out, " @%llu ", (unsigned long long)e.ordinal);
        buf_put(out, e.wire);
        must_find(s, e.id);
    }
    must(r == 0 && n == s->length);
    for (size_t i = 0; i < groups_count(s->groups); i++) dump_group(s->groups->list[i], s, out);
    s->store->wait = waited;
}

static void dump_key(int db, const struct key *k, struct buf *out)
{
    char scratch[STR_INT_TEXT_MAX + 1];
    buf_printf(out, "%d", db);
    put_text(out, key_name(k));
    buf_printf(out, " %s @%lld", key_type_name(k->type), (long long)k->expire_at_ms);
    if (k->type == KEY_STRING) put_text(out, str_get(k, scratch));
    if (k->type == KEY_HASH) dump_hash(k, out);
    if (k->type == KEY_SET) dump_set(k, out);
    if (k->type == KEY_ZSET) dump_zset(k, out);
    if (k->type == KEY_LIST) dump_list(k, out);
    if (k->type == KEY_STREAM) dump_stream(k, out);
    buf_putc(out, '\n');
}

void bench_dump(struct bench *b, struct buf *out)
{
    struct lines lines = {0};
    bool waits = b->broker->streams->wait;
    b->broker->streams->wait = true; /* entries are read from disk at once */
    for (int db = 0; db < KEYSPACE_DBS; db++) {
        struct map_iter it;
        const struct key *k;
        map_iter_init(&it, keyspace_map(b->broker->ks, db));
        while ((k = map_iter_next(&it)) != NULL) {
            line_begin(&lines);
            dump_key(db, k, &lines.text);
        }
        map_iter_fini(&it);
    }
    b->broker->streams->wait = waits;
    lines_put(&lines, out);
}
