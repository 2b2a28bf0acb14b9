#include "broker/scripts.h"

#include <ctype.h>
#include <openssl/sha.h>

#include "base/buf.h"
#include "base/num.h"
#include "broker/call.h"
#include "keys/str.h"

/* ---- What they do ---- */

/* The lock when it is held under the token; NULL with 0 or an error replied when not. */
static struct key *held(struct call *c, const struct script_call *s)
{
    struct key *k;
    char scratch[STR_INT_TEXT_MAX + 1];
    if (s->key_count == 0 || s->arg_count == 0) {
        resp_error(c->reply, "ERR this script takes a key, and the token of the lock");
        return NULL;
    }
    if (!call_write_typed(c, s->keys[0], KEY_STRING, &k)) return NULL;
    if (k != NULL && bytes_eq(str_get(k, scratch), s->args[0])) return k;
    resp_int(c->reply, 0);
    return NULL;
}

static void release(struct call *c, const struct script_call *s)
{
    struct key *k = held(c, s);
    if (k == NULL) return;
    change_delete(c, c->db, k);
    call_event(c, NOTIFY_GENERIC, "del", s->keys[0]);
    resp_int(c->reply, 1);
}

static void expire(struct call *c, const struct script_call *s, struct key *k, int64_t at_ms)
{
    if (at_ms <= c->now_ms) {
        change_delete(c, c->db, k);
        call_event(c, NOTIFY_GENERIC, "del", s->keys[0]);
    } else {
        change_expire_at(c, c->db, k, at_ms);
        call_event(c, NOTIFY_GENERIC, "expire", s->keys[0]);
    }
    resp_int(c->reply, 1);
}

static bool parse_ms(struct call *c, const struct script_call *s, int64_t *ret_ms)
{
    enum { MS_MAX_BITS = 53 }; /* what Lua's numbers hold exactly */
    int64_t most = INT64_C(1) << MS_MAX_BITS;
    struct bytes arg = s->arg_count > 1 ? s->args[1] : BYTES("");
    return call_int_range(c, arg, -most, most, "ERR value is not an integer or out of range",
                          ret_ms);
}

/* Arguments: token, milliseconds, and "0" where they are added to what is left. */
static void extend(struct call *c, const struct script_call *s)
{
    int64_t ms;
    struct key *k = held(c, s);
    if (k == NULL || !parse_ms(c, s, &ms)) return;
    if (k->expire_at_ms == KEY_NEVER) {
        resp_int(c->reply, 0);
        return;
    }
    bool added = s->arg_count > 2 && bytes_eq(s->args[2], BYTES("0"));
    expire(c, s, k, (added ? k->expire_at_ms : c->now_ms) + ms);
}

/* Arguments: token, milliseconds. */
static void reacquire(struct call *c, const struct script_call *s)
{
    int64_t ms;
    struct key *k = held(c, s);
    if (k != NULL && parse_ms(c, s, &ms)) expire(c, s, k, c->now_ms + ms);
}

/* ---- How they are known ---- */

static const struct known {
    const char *words_sha; /* of the text as read_words() gives it */
    const char *text_sha;  /* of the edition in use, or NULL */
    script_handler handler;
} known[] = {
    {"278b7fc39f087c6276c7b7c08962022c4fe73ba6", NULL, release},
    {"16d4f25a8b1272dc33002e333ca708ee3f94da4e", "c3f8721cbb97f72bc19e972846bd7aaf91901658",
     release},
    {"bce326b8a0b21cc21af307b604335bbdd4e6ad86", "a4e8783852e6b949f9ef3a97212805108459a890",
     extend},
    {"b57b48d5536ae982a91ca9929e89a43a617db101", "1cac51482acf5858da00f6d685d68f886cd6b6b2",
     reacquire},
};

/* Other editions that were seen, the newest SEEN of them. */
enum { SEEN = 32 };
static _Thread_local struct {
    char sha[SCRIPT_SHA_LEN];
    script_handler handler; /* NULL: free */
} seen[SEEN];
static _Thread_local unsigned next_seen;

void script_sha(struct bytes text, char ret[SCRIPT_SHA_LEN])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char sum[SHA_DIGEST_LENGTH];
    SHA1((const unsigned char *)text.data, text.len, sum);
    for (size_t i = 0; i < SHA_DIGEST_LENGTH; i++) {
        ret[2 * i] = digits[sum[i] >> 4];
        ret[2 * i + 1] = digits[sum[i] & 15];
    }
}

static bool is_word(char ch)
{
    return isalnum((unsigned char)ch) || ch == '_';
}

static bool is_comment(struct bytes rest)
{
    return rest.len > 1 && memcmp(rest.data, "--", 2) == 0 &&
           (rest.len == 2 || rest.data[2] != '[');
}

/* The text without comments (of one line; the others are taken for words), with one kind of quotes,
 * and with spaces only where two words would run into one. */
static void read_words(struct bytes text, struct buf *out)
{
    bool space = false;
    for (size_t i = 0; i < text.len; i++) {
        char ch = text.data[i];
        if (is_comment((struct bytes){text.data + i, text.len - i})) {
            while (i < text.len && text.data[i] != '\n') i++;
            space = true;
            continue;
        }
        if (isspace((unsigned char)ch)) {
            space = true;
            continue;
        }
        if (space && out->len > 0 && is_word(ch) && is_word(out->data[out->len - 1]))
            buf_putc(out, ' ');
        buf_putc(out, ch == '\'' ? '"' : ch);
        space = false;
    }
}

static script_handler by_words(struct bytes text)
{
    enum { TEXT_MAX = 4096 }; /* all of them are shorter */
    struct buf words = {0};
    char sha[SCRIPT_SHA_LEN];
    if (text.len > TEXT_MAX) return NULL;
    read_words(text, &words);
    script_sha(buf_bytes(&words), sha);
    buf_fini(&words);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (memcmp(known[i].words_sha, sha, sizeof sha) == 0) return known[i].handler;
    return NULL;
}

script_handler script_by_text(struct bytes text)
{
    char sha[SCRIPT_SHA_LEN];
    script_sha(text, sha);
    script_handler handler = script_by_sha((struct bytes){sha, sizeof sha});
    if (handler != NULL) return handler;
    handler = by_words(text);
    if (handler == NULL) return NULL;
    memcpy(seen[next_seen].sha, sha, sizeof sha);
    seen[next_seen].handler = handler;
    next_seen = (next_seen + 1) % SEEN;
    return handler;
}

script_handler script_by_sha(struct bytes sha)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].text_sha != NULL && bytes_is_word(sha, known[i].text_sha))
            return known[i].handler;
    for (size_t i = 0; i < SEEN; i++)
        if (seen[i].handler != NULL &&
            bytes_eq_nocase(sha, (struct bytes){seen[i].sha, SCRIPT_SHA_LEN}))
            return seen[i].handler;
    return NULL;
}
