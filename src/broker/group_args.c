#include "broker/group_args.h"

#include "broker/stream_args.h"

/* Redis's errors show names as C strings. */
static void put_shown(struct buf *out, struct bytes name)
{
    buf_append(out, name.data, strnlen(name.data, name.len));
}

void group_error_missing(struct call *c, enum group_missing text, struct bytes key,
                         struct bytes group)
{
    struct buf out = {0};
    if (text == GROUP_OF_KEY) {
        buf_printf(&out, "NOGROUP No such consumer group '");
        put_shown(&out, group);
        buf_printf(&out, "' for key name '");
        put_shown(&out, key);
        buf_putc(&out, '\'');
    } else {
        buf_printf(&out, "NOGROUP No such key '");
        put_shown(&out, key);
        buf_printf(&out, "' or consumer group '");
        put_shown(&out, group);
        buf_printf(&out, "'%s", text == GROUP_OF_READ ? " in XREADGROUP with GROUP option" : "");
    }
    resp_error_bytes(c->reply, buf_bytes(&out));
    buf_fini(&out);
}

bool group_find(struct call *c, struct bytes key, struct bytes group, struct key **ret_key,
                struct group **ret_group)
{
    struct key *k;
    if (!call_write_typed(c, key, KEY_STREAM, &k)) return false;
    struct group *g = k != NULL ? groups_find(stream_of(k)->groups, group) : NULL;
    if (g == NULL) {
        group_error_missing(c, GROUP_OF_COMMAND, key, group);
        return false;
    }
    *ret_key = k;
    *ret_group = g;
    return true;
}

struct consumer *group_need_consumer(struct call *c, struct key *k, struct group *g,
                                     struct bytes name)
{
    struct consumer *of = group_consumer(g, name);
    if (of == NULL) {
        of = change_consumer_add(c, k, g, name);
        call_event(c, NOTIFY_STREAM, "xgroup-createconsumer", key_name(k));
    }
    of->seen_ms = c->now_ms;
    return of;
}

void group_note_active(struct call *c, struct key *k, struct group *g, struct consumer *of)
{
    if (of->seen_ms == c->now_ms && of->active_ms == c->now_ms) return;
    change_consumer_times(c, k, g, of, c->now_ms, c->now_ms);
}

struct stream_id *group_arg_ids(struct call *c, size_t from, size_t n)
{
    struct stream_id *ids = arena_alloc(c->arena, n * sizeof *ids);
    for (size_t i = 0; i < n; i++)
        if (!stream_arg_id(c, c->argv[from + i], 0, &ids[i])) return NULL;
    return ids;
}

bool group_ordinal_at(struct call *c, struct stream *s, struct stream_id id, uint64_t *ret)
{
    *ret = stream_id_cmp(id, STREAM_ID_MIN) == 0 ? 0 : GROUP_AHEAD;
    if (*ret == 0 || stream_id_cmp(id, s->last_id) > 0) return true;
    return stream_is_there(c, stream_ordinal_after(s, id, ret));
}

int64_t group_idle_ms(const struct call *c, const struct pending_entry *e)
{
    return e->time_ms < c->now_ms ? c->now_ms - e->time_ms : 0;
}

int64_t group_idle_since(const struct call *c, int64_t min_idle_ms)
{
    return min_idle_ms <= 0 ? INT64_MAX : c->now_ms - min_idle_ms;
}
