#include "broker/stream_args.h"

#include <errno.h>

#include "base/must.h"
#include "base/num.h"
#include "broker/internal.h"

/* ---- Ids ---- */

bool stream_arg_id(struct call *c, struct bytes arg, uint64_t missing_seq, struct stream_id *ret)
{
    if (stream_id_parse(arg, missing_seq, ret)) return true;
    resp_error(c->reply, "ERR Invalid stream ID specified as stream command argument");
    return false;
}

/* One end; *ret_open when it is not part of the range. */
static bool parse_end(struct call *c, struct bytes arg, uint64_t missing_seq, struct stream_id *ret,
                      bool *ret_open)
{
    *ret_open = arg.len > 1 && arg.data[0] == '(';
    if (*ret_open) arg = (struct bytes){arg.data + 1, arg.len - 1};
    bool is_word = arg.len == 1 && !*ret_open && (arg.data[0] == '-' || arg.data[0] == '+');
    if (!is_word) return stream_arg_id(c, arg, missing_seq, ret);
    *ret = arg.data[0] == '-' ? STREAM_ID_MIN : STREAM_ID_MAX;
    return true;
}

bool stream_arg_range(struct call *c, struct bytes from, struct bytes to,
                      struct stream_id *ret_from, struct stream_id *ret_to)
{
    bool open;
    if (!parse_end(c, from, 0, ret_from, &open)) return false;
    if (open && !stream_id_next(ret_from)) {
        resp_error(c->reply, "ERR invalid start ID for the interval");
        return false;
    }
    if (!parse_end(c, to, UINT64_MAX, ret_to, &open)) return false;
    if (open && !stream_id_prev(ret_to)) {
        resp_error(c->reply, "ERR invalid end ID for the interval");
        return false;
    }
    return true;
}

bool stream_arg_block(struct call *c, struct bytes arg, int64_t *ret_ms)
{
    const char *error = NULL;
    int64_t ms;
    if (!num_parse_i64(arg, &ms)) error = "ERR timeout is not an integer or out of range";
    else if (ms < 0) error = "ERR timeout is negative";
    else if (ms > INT64_MAX - c->now_ms) error = "ERR timeout is out of range";
    if (error == NULL) *ret_ms = ms;
    else resp_error(c->reply, "%s", error);
    return error == NULL;
}

/* ---- Trims ---- */

static bool parse_length(struct call *c, struct bytes arg, uint64_t *ret)
{
    int64_t n;
    if (!call_int(c, arg, &n)) return false;
    if (n < 0) {
        resp_error(c->reply, "ERR The MAXLEN argument must be >= 0.");
        return false;
    }
    *ret = (uint64_t)n;
    return true;
}

static bool parse_limit(struct call *c, struct bytes arg, struct stream_trim_args *a)
{
    int64_t n;
    if (!call_int(c, arg, &n)) return false;
    if (n < 0) {
        resp_error(c->reply, "ERR The LIMIT argument must be >= 0.");
        return false;
    }
    a->trim.limit = (uint64_t)n;
    a->limited = true;
    return true;
}

/* MAXLEN or MINID at argv[*i], which something follows. */
static bool parse_strategy(struct call *c, size_t *i, bool by_id, struct stream_trim_args *a)
{
    if (a->given) {
        resp_error(c->reply, "ERR syntax error, MAXLEN and MINID options at the same time are not "
                             "compatible");
        return false;
    }
    struct bytes next = c->argv[*i + 1];
    bool sign = next.len == 1 && (next.data[0] == '~' || next.data[0] == '=');
    a->trim.approximately = false;
    if (sign && *i + 2 < c->argc) {
        a->trim.approximately = next.data[0] == '~';
        ++*i;
    }
    a->given = true;
    a->trim.by_id = by_id;
    struct bytes threshold = c->argv[*i + 1];
    *i += 2;
    return by_id ? stream_arg_id(c, threshold, 0, &a->trim.min_id)
                 : parse_length(c, threshold, &a->trim.length);
}

bool stream_arg_refs(struct bytes arg, enum stream_refs *ret)
{
    static const char *const words[] = {"keepref", "delref", "acked"};
    for (int i = 0; i < 3; i++) {
        if (!bytes_is_word(arg, words[i])) continue;
        *ret = (enum stream_refs)i;
        return true;
    }
    return false;
}

int stream_arg_trim(struct call *c, size_t *i, struct stream_trim_args *a)
{
    struct bytes arg = c->argv[*i];
    bool more = *i + 1 < c->argc;
    bool by_id = bytes_is_word(arg, "minid");
    if (more && (by_id || bytes_is_word(arg, "maxlen")))
        return parse_strategy(c, i, by_id, a) ? 1 : -1;
    if (more && bytes_is_word(arg, "limit")) {
        *i += 2;
        return parse_limit(c, c->argv[*i - 1], a) ? 1 : -1;
    }
    if (!stream_arg_refs(arg, &a->refs)) return 0;
    ++*i;
    return 1;
}

bool stream_arg_trim_end(struct call *c, const struct stream_trim_args *a)
{
    if (!a->limited || a->trim.approximately) return true;
    resp_error(c->reply, a->given ? "ERR syntax error, LIMIT cannot be used without the special ~ "
                                    "option"
                                  : "ERR syntax error, LIMIT cannot be used without specifying a "
                                    "trimming strategy");
    return false;
}

/* ---- Reading ---- */

bool stream_is_there(struct call *c, int64_t result)
{
    if (result >= 0) return true;
    if (result == -EAGAIN) call_await_load(c);
    else call_error_load(c, (int)result);
    return false;
}

int64_t stream_prepare_reply(struct stream *s, struct stream_id from, struct stream_id to,
                             bool reverse, uint64_t max)
{
    int64_t n = stream_count(s, from, to, max);
    if (n <= 0) return n;
    int result = stream_prepare(s, from, to, reverse, (uint64_t)n);
    return result < 0 ? result : n;
}

static int64_t reply_reverse(struct call *c, struct stream_iter *it, uint64_t n)
{
    struct stream_entry e;
    for (; n > 0 && !call_reply_is_full(c); n--) {
        int r = stream_iter_next(it, &e);
        if (r < 0) return r;
        must(r == 1);
        buf_put(c->reply->out, e.wire);
    }
    return 0;
}

static int64_t reply_forward(struct call *c, struct stream_iter *it, uint64_t n)
{
    struct stream_run run;
    while (n > 0 && !call_reply_is_full(c)) {
        int64_t there = stream_iter_run(it, n, &run);
        if (there < 0) return there;
        must(there > 0 && (uint64_t)there <= n);
        buf_put(c->reply->out, run.wire);
        n -= (uint64_t)there;
    }
    return 0;
}

bool stream_reply_entries(struct call *c, struct stream *s, struct stream_id from,
                          struct stream_id to, bool reverse, uint64_t n)
{
    struct stream_iter it;
    resp_array(c->reply, n);
    stream_iter_init(&it, s, from, to, reverse);
    int64_t r = reverse ? reply_reverse(c, &it, n) : reply_forward(c, &it, n);
    if (r < 0) c->reply->out->len = c->own_start;
    return stream_is_there(c, r);
}

void stream_reply_id(struct call *c, struct stream_id id)
{
    char text[STREAM_ID_TEXT_MAX];
    resp_bulk(c->reply, (struct bytes){text, stream_id_format(text, id)});
}
