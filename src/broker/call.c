/* What handlers call: look-ups that note what the reply depends on, arguments, common errors, and
 * the changes that no single family owns. */
#include "broker/call.h"

#include <errno.h>

#include "base/hash.h"
#include "base/logline.h"
#include "base/must.h"
#include "base/num.h"
#include "broker/internal.h"
#include "keys/str.h"

/* ---- Reading ---- */

static void depend(struct call *c, int db, uint64_t hash)
{
    uint64_t position = *broker_position(c->broker, db, hash);
    if (position < c->broker->all_position) position = c->broker->all_position;
    if (position > c->fx->depends) c->fx->depends = position;
}

static struct key *find(struct call *c, int db, struct bytes name, uint64_t hash)
{
    depend(c, db, hash);
    return keyspace_find(c->ks, db, name, hash);
}

static void count_look(struct call *c, int db, const struct key *k, struct bytes name)
{
    if (k != NULL) {
        c->broker->keyspace_hits++;
    } else {
        c->broker->keyspace_misses++;
        call_event_in(c, db, NOTIFY_MISS, "keymiss", name);
    }
}

static void touch(struct call *c, struct key *k)
{
    if (k != NULL && !(c->session->flags & SESSION_NO_TOUCH))
        k->accessed_s = (uint32_t)(c->now_ms / 1000);
}

static struct key *find_living(struct call *c, int db, struct bytes name)
{
    struct key *k = find(c, db, name, call_hash(c, name));
    return k != NULL && key_is_expired(k, c->now_ms) ? NULL : k;
}

void call_count_read(struct call *c, const struct key *k, struct bytes name)
{
    count_look(c, c->db, k, name);
}

struct key *call_peek(struct call *c, struct bytes name)
{
    return find_living(c, c->db, name);
}

struct key *call_look(struct call *c, struct bytes name)
{
    struct key *k = find_living(c, c->db, name);
    count_look(c, c->db, k, name);
    return k;
}

struct key *call_read_in(struct call *c, int db, struct bytes name)
{
    struct key *k = find_living(c, db, name);
    count_look(c, db, k, name);
    touch(c, k);
    return k;
}

struct key *call_read(struct call *c, struct bytes name)
{
    return call_read_in(c, c->db, name);
}

struct key *call_write_in(struct call *c, int db, struct bytes name)
{
    struct key *k = find(c, db, name, call_hash(c, name));
    if (k == NULL) return NULL;
    if (key_is_expired(k, c->now_ms)) {
        change_delete(c, db, k);
        call_event_in(c, db, NOTIFY_EXPIRED, "expired", name);
        c->broker->expired_keys++;
        return NULL;
    }
    touch(c, k);
    snapshots_before_change(c->broker, db, k);
    return k;
}

struct key *call_write(struct call *c, struct bytes name)
{
    return call_write_in(c, c->db, name);
}

static bool has_type(struct call *c, struct key *k, enum key_type type)
{
    if (k == NULL || k->type == type) return true;
    call_error_wrong_type(c);
    return false;
}

bool call_read_typed(struct call *c, struct bytes name, enum key_type type, struct key **ret_key)
{
    *ret_key = call_read(c, name);
    return has_type(c, *ret_key, type);
}

bool call_write_typed(struct call *c, struct bytes name, enum key_type type, struct key **ret_key)
{
    *ret_key = call_write(c, name);
    return has_type(c, *ret_key, type);
}

void call_depends_on_all(struct call *c)
{
    c->fx->depends = journal_head(c->broker->journal);
}

/* ---- Arguments ---- */

bool call_int(struct call *c, struct bytes arg, int64_t *ret)
{
    if (num_parse_i64(arg, ret)) return true;
    resp_error(c->reply, "ERR value is not an integer or out of range");
    return false;
}

bool call_db(struct call *c, struct bytes arg, int *ret)
{
    int64_t n;
    if (!call_int(c, arg, &n)) return false;
    if (n < INT32_MIN || n > INT32_MAX) {
        resp_error(c->reply, "ERR value is out of range, value must between %d and %d", INT32_MIN,
                   INT32_MAX);
        return false;
    }
    if (n < 0 || n >= KEYSPACE_DBS) {
        resp_error(c->reply, "ERR DB index is out of range");
        return false;
    }
    *ret = (int)n;
    return true;
}

bool call_int_range(struct call *c, struct bytes arg, int64_t min, int64_t max, const char *error,
                    int64_t *ret)
{
    if (num_parse_i64(arg, ret) && *ret >= min && *ret <= max) return true;
    resp_error(c->reply, "%s", error ? error : "ERR value is out of range");
    return false;
}

bool call_count(struct call *c, struct bytes arg, int64_t *ret)
{
    if (!call_int(c, arg, ret)) return false;
    if (*ret != INT64_MIN) return true;
    resp_error(c->reply, "ERR value is out of range, value must between %lld and %lld",
               (long long)-INT64_MAX, (long long)INT64_MAX);
    return false;
}

bool call_double(struct call *c, struct bytes arg, double *ret)
{
    if (num_parse_double(arg, ret)) return true;
    resp_error(c->reply, "ERR value is not a valid float");
    return false;
}

/* ---- Replies ---- */

struct resp_writer call_reply_even_if_off(struct call *c)
{
    bool goes_out = !c->session->out.closed;
    return (struct resp_writer){goes_out ? &c->session->out.bytes : c->reply->out,
                                c->session->proto};
}

bool call_reply_is_full(struct call *c)
{
    if (c->reply->out->len - c->reply_start < c->broker->reply_bytes_max) return false;
    session_end(c->session, false);
    return true;
}

void call_reply_nothing(struct call *c)
{
    resp_null_array(c->reply);
}

/* ---- Errors ---- */

void call_error_syntax(struct call *c)
{
    resp_error(c->reply, "ERR syntax error");
}

void call_error_wrong_type(struct call *c)
{
    resp_error(c->reply, "WRONGTYPE Operation against a key holding the wrong kind of value");
}

void call_error_loading(struct call *c)
{
    resp_error(c->reply, "LOADING Redis is loading the dataset in memory");
}

void call_help(struct call *c, const char *const *lines)
{
    size_t n = 0;
    while (lines[n] != NULL) n++;
    resp_array(c->reply, n);
    for (size_t i = 0; i < n; i++) resp_simple(c->reply, lines[i]);
}

/* ---- Changing ---- */

void call_event_in(struct call *c, int db, enum notify_class class, const char *event,
                   struct bytes name)
{
    if (c->broker->settings.notify_keyspace_events & (unsigned)class)
        effects_event(c->fx, class, event, db, name);
}

void call_event(struct call *c, enum notify_class class, const char *event, struct bytes name)
{
    call_event_in(c, c->db, class, event, name);
}

void call_changed(struct call *c, int db, struct bytes name)
{
    effects_changed(c->fx, db, name, hash_bytes(name));
}

void call_noted(struct call *c, int db, struct bytes name)
{
    effects_noted(c->fx, db, name, hash_bytes(name));
}

void change_delete(struct call *c, int db, struct key *k)
{
    effects_new_record(c->fx, REC_DELETE, db, key_name(k));
    call_changed(c, db, key_name(k));
    keyspace_remove(c->ks, db, k);
}

int replay_delete(struct keyspace *ks, struct record *r)
{
    struct key *k = keyspace_find(ks, r->db, r->key, hash_bytes(r->key));
    if (k == NULL) return r->lenient ? 0 : -EBADMSG;
    keyspace_remove(ks, r->db, k);
    return 0;
}

void change_expire_at(struct call *c, int db, struct key *k, int64_t at_ms)
{
    record_put_int(effects_new_record(c->fx, REC_EXPIRE_AT, db, key_name(k)), at_ms);
    call_changed(c, db, key_name(k));
    keyspace_expire_at(c->ks, db, k, at_ms);
}

int replay_expire_at(struct keyspace *ks, struct record *r)
{
    struct key *k = keyspace_find(ks, r->db, r->key, hash_bytes(r->key));
    if (k == NULL) return r->lenient ? 0 : -EBADMSG;
    keyspace_expire_at(ks, r->db, k, record_int(r));
    return 0;
}

static void record_two_keys(struct call *c, enum record_kind kind, int db, struct bytes name,
                            int to_db, struct bytes to_name)
{
    struct buf *items = effects_new_record(c->fx, kind, db, name);
    record_put_int(items, to_db);
    record_put_bytes(items, to_name);
    call_changed(c, to_db, to_name);
    c->fx->ready = true;
}

struct key *change_rename(struct call *c, int db, struct key *k, int to_db, struct bytes to_name)
{
    snapshots_before_copy(c->broker, db, k);
    call_changed(c, db, key_name(k));
    record_two_keys(c, REC_RENAME, db, key_name(k), to_db, to_name);
    return keyspace_rename(c->ks, db, k, to_db, to_name);
}

struct key *change_copy(struct call *c, int db, const struct key *k, int to_db,
                        struct bytes to_name)
{
    snapshots_before_copy(c->broker, db, k);
    record_two_keys(c, REC_COPY, db, key_name(k), to_db, to_name);
    return keyspace_copy(c->ks, k, to_db, to_name);
}

/* The two keys of a RENAME or COPY record: source present, target absent; NULL when they are not.
 */
static struct key *replay_two_keys(struct keyspace *ks, struct record *r, int *ret_db,
                                   struct bytes *ret_name)
{
    struct key *k = keyspace_find(ks, r->db, r->key, hash_bytes(r->key));
    int64_t to_db = record_int(r);
    *ret_name = record_bytes(r);
    if (to_db < 0 || to_db >= KEYSPACE_DBS) r->bad = true;
    if (r->bad || k == NULL) return NULL;
    *ret_db = (int)to_db;
    struct key *there = keyspace_find(ks, *ret_db, *ret_name, hash_bytes(*ret_name));
    if (there == NULL) return k;
    if (!r->salvaged || there == k) return NULL;
    keyspace_remove(ks, *ret_db, there); /* what took it away is missing */
    return k;
}

static int no_two_keys(const struct record *r)
{
    return r->salvaged && !r->bad ? 0 : -EBADMSG;
}

int replay_rename(struct keyspace *ks, struct record *r)
{
    int to_db;
    struct bytes to_name;
    struct key *k = replay_two_keys(ks, r, &to_db, &to_name);
    if (k == NULL) return no_two_keys(r);
    keyspace_rename(ks, r->db, k, to_db, to_name);
    return 0;
}

int replay_copy(struct keyspace *ks, struct record *r)
{
    int to_db;
    struct bytes to_name;
    struct key *k = replay_two_keys(ks, r, &to_db, &to_name);
    if (k == NULL) return no_two_keys(r);
    keyspace_copy(ks, k, to_db, to_name);
    return 0;
}

void change_flush(struct call *c, int db)
{
    effects_new_record(c->fx, REC_FLUSH, db, (struct bytes){NULL, 0});
    watch_replace_db(c->broker, db, -1);
    c->fx->all_changed = true;
    keyspace_flush(c->ks, db);
}

int replay_flush(struct keyspace *ks, struct record *r)
{
    keyspace_flush(ks, r->db);
    return 0;
}

void change_swap(struct call *c, int a, int b)
{
    record_put_int(effects_new_record(c->fx, REC_SWAP, a, (struct bytes){NULL, 0}), b);
    watch_replace_db(c->broker, a, b);
    watch_replace_db(c->broker, b, a);
    c->fx->all_changed = c->fx->ready = true;
    keyspace_swap(c->ks, a, b);
    snapshots_swapped(c->broker, a, b);
}

int replay_swap(struct keyspace *ks, struct record *r)
{
    int64_t other = record_int(r);
    if (r->bad || other < 0 || other >= KEYSPACE_DBS) return -EBADMSG;
    keyspace_swap(ks, r->db, (int)other);
    return 0;
}

int replay_nothing(struct keyspace *ks, struct record *r)
{
    return 0;
}

void call_error_load(struct call *c, int error)
{
    must(error < 0 && error != -EAGAIN);
    logline(LOG_LEVEL_WARNING, "streams", "%s", stream_store_error(c->broker->streams));
    resp_error(c->reply, "ERR entries cannot be read from disk: %s",
               stream_store_error(c->broker->streams));
}
