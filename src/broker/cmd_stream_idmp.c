/* Idempotent production, as Redis 8.6 documents it: XADD's options, and XCFGSET. */
#include "broker/cmd_stream_idmp.h"

#include <openssl/sha.h>

#include "broker/change_idmp.h"
#include "broker/retention.h"
#include "broker/stream_args.h"

enum { AUTO_BYTES = 16 };

int idmp_parse(struct call *c, size_t *i, struct idmp_args *a)
{
    bool automatic = bytes_is_word(c->argv[*i], "idmpauto");
    size_t taken = automatic ? 2 : 3;
    if (!automatic && !bytes_is_word(c->argv[*i], "idmp")) return 0;
    if (*i + taken > c->argc) return 0; /* then it is the id, and wrong */
    if (a->given) {
        resp_error(c->reply, "ERR IDMP/IDMPAUTO specified multiple times");
        return -1;
    }
    *a = (struct idmp_args){.given = true, .automatic = automatic, .pid = c->argv[*i + 1]};
    if (!automatic) a->iid = c->argv[*i + 2];
    *i += taken;
    return 1;
}

/* The same fields and values in the same order give the same iid: a cryptographic hash, so that
 * nobody can make up two messages that are taken for one. */
static struct bytes hash_of(struct call *c, const struct bytes *fields, size_t n)
{
    struct buf text = {0};
    unsigned char *digest = arena_alloc(c->arena, SHA256_DIGEST_LENGTH);
    for (size_t i = 0; i < n; i++) record_put_bytes(&text, fields[i]);
    SHA256((const unsigned char *)text.data, text.len, digest);
    buf_fini(&text);
    return (struct bytes){(const char *)digest, AUTO_BYTES};
}

bool idmp_parse_end(struct call *c, struct idmp_args *a, bool id_is_given,
                    const struct bytes *fields, size_t n)
{
    const char *error = NULL;
    if (!a->given) return true;
    if (id_is_given) error = "ERR IDMP/IDMPAUTO can be used only with auto-generated IDs";
    else if (a->pid.len == 0) error = "ERR the producer ID of IDMP/IDMPAUTO must not be empty";
    else if (!a->automatic && a->iid.len == 0)
        error = "ERR the idempotent ID of IDMP must not be empty";
    if (error != NULL) resp_error(c->reply, "%s", error);
    else if (a->automatic) a->iid = hash_of(c, fields, n);
    return error == NULL;
}

bool idmp_reply_duplicate(struct call *c, struct stream *s, const struct idmp_args *a)
{
    struct stream_id id;
    if (!a->given || s == NULL || s->idmp == NULL) return false;
    if (!idmp_find(s->idmp, a->pid, a->iid, c->now_ms, &id)) return false;
    s->idmp->duplicates++;
    stream_reply_id(c, id);
    return true;
}

/* ---- XCFGSET ---- */

static bool parse_limit(struct call *c, struct bytes arg, const char *what, int64_t max,
                        uint32_t *ret)
{
    int64_t n;
    if (!call_int(c, arg, &n)) return false;
    if (n >= 1 && n <= max) {
        *ret = (uint32_t)n;
        return true;
    }
    resp_error(c->reply, "ERR invalid %s, it must be between 1 and %lld", what, (long long)max);
    return false;
}

static bool parse_limits(struct call *c, uint32_t *ret_duration_s, uint32_t *ret_maxsize)
{
    for (size_t i = 2; i < c->argc; i += 2) {
        bool more = i + 1 < c->argc;
        if (more && bytes_is_word(c->argv[i], "idmp-duration")) {
            if (!parse_limit(c, c->argv[i + 1], "duration", IDMP_DURATION_MAX, ret_duration_s))
                return false;
        } else if (more && bytes_is_word(c->argv[i], "idmp-maxsize")) {
            if (!parse_limit(c, c->argv[i + 1], "maxsize", IDMP_MAXSIZE_MAX, ret_maxsize))
                return false;
        } else {
            call_error_syntax(c);
            return false;
        }
    }
    if (*ret_duration_s == 0 && *ret_maxsize == 0) call_error_syntax(c);
    return *ret_duration_s > 0 || *ret_maxsize > 0;
}

static void xcfgset(struct call *c)
{
    uint32_t duration_s = 0, maxsize = 0;
    struct key *k;
    if (!parse_limits(c, &duration_s, &maxsize) || !call_write_typed(c, c->argv[1], KEY_STREAM, &k))
        return;
    if (k == NULL) {
        resp_error(c->reply, "ERR no such key");
        return;
    }
    const struct stream_idmp *m = stream_of(k)->idmp;
    if (duration_s == 0) duration_s = m != NULL ? m->duration_s : IDMP_DURATION_DEFAULT;
    if (maxsize == 0) maxsize = m != NULL ? m->maxsize : IDMP_MAXSIZE_DEFAULT;
    change_idmp_limits(c, k, duration_s, maxsize);
    resp_simple(c->reply, "OK");
}

/* clang-format off */
const struct command cmd_stream_idmp[] = {
    {.name = "xcfgset", .arity = -2, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .first_key = 1,
     .last_key = 1, .key_step = 1, .acl = ACL_STREAM, .group = "stream", .since = "8.6.0",
     .syntax = "XCFGSET key [IDMP-DURATION seconds] [IDMP-MAXSIZE count]",
     .summary = "Sets how long, and how many, of each producer's messages are known, so that none "
                "is added twice.",
     .handler = xcfgset, .complexity = "O(N) in messages forgotten"},
    {.name = NULL},
};
/* clang-format on */
