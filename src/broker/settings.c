/* The table of settings and the ways into it. Each row says where the value lives and what it may
 * be; parsing, printing and range checks are per kind. */
#include "broker/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/num.h"
#include "broker/durable_settings.h"
#include "broker/notify.h"
#include "broker/retention.h"
#include "keys/str.h"
#include "resp/request.h"

enum kind {
    INTEGER,
    MEMORY,
    TEXT,
    RETENTION,
    DURABLE_RETENTION,
    ON_SLOW,
    CHOICE,
    NOTIFY,
    OUTPUT_LIMITS
};

struct choice {
    const char *name;
    int64_t value;
};

static const struct choice sync_choices[] = {{"always", 0}, {"everysec", 1}, {"no", 2}, {NULL, 0}};
static const struct choice level_choices[] = {
    {"debug", 0}, {"verbose", 1}, {"notice", 2}, {"warning", 3}, {NULL, 0}};

struct row {
    struct setting setting;
    enum kind kind;
    size_t offset;
    int64_t min, max;
    const char *initial;
    const struct choice *choices;
};

#define AT(field) offsetof(struct settings, field)
#define KB        (INT64_C(1) << 10)
#define MB        (INT64_C(1) << 20)
#define GB        (INT64_C(1) << 30)

/* clang-format off */
static const struct row rows[] = {
    {{"port", NULL, "TCP port of the Redis protocol; 0 for none", SETTING_CLI | SETTING_IMMUTABLE},
     INTEGER, AT(port), 0, 65535, "6379", NULL},
    {{"bind", NULL, "address to listen on; anything but loopback needs a password",
      SETTING_CLI | SETTING_IMMUTABLE}, TEXT, AT(bind), 0, 0, "127.0.0.1", NULL},
    {{"http", NULL, "TCP port of the HTTP gateway and dashboard; 0 for none",
      SETTING_CLI | SETTING_IMMUTABLE}, INTEGER, AT(http), 0, 65535, "8080", NULL},
    {{"unixsocket", NULL, "path of a Unix socket to listen on as well",
      SETTING_CLI | SETTING_IMMUTABLE}, TEXT, AT(unixsocket), 0, 0, "", NULL},
    {{"dir", NULL, "directory of the journal; made if absent", SETTING_CLI | SETTING_IMMUTABLE},
     TEXT, AT(dir), 0, 0, "leat-data", NULL},
    {{"sync", NULL, "when a write is acknowledged: always (on disk), everysec, no", SETTING_CLI},
     CHOICE, AT(sync), 0, 0, "always", sync_choices},
    {{"appendfsync", NULL, "Redis's name for sync", 0}, CHOICE, AT(sync), 0, 0, NULL, sync_choices},
    {{"requirepass", NULL, "password that clients must give with AUTH",
      SETTING_CLI | SETTING_HIDDEN}, TEXT, AT(requirepass), 0, 0, "", NULL},
    {{"loglevel", NULL, "debug, verbose, notice or warning", SETTING_CLI}, CHOICE, AT(loglevel), 0,
     0, "notice", level_choices},
    {{"maxclients", NULL, "connections at most", SETTING_CLI}, INTEGER, AT(maxclients), 1,
     UINT32_MAX, "10000", NULL},
    {{"maxmemory", NULL, "bytes of memory beyond which growing writes are refused; 0: no limit",
      SETTING_CLI}, MEMORY, AT(maxmemory), 0, INT64_MAX, "0", NULL},
    {{"timeout", NULL, "seconds after which an idle client is disconnected; 0: never", 0}, INTEGER,
     AT(timeout), 0, INT32_MAX, "0", NULL},
    {{"tcp-keepalive", NULL, "seconds between TCP keepalives; 0: none", 0}, INTEGER,
     AT(tcp_keepalive), 0, INT32_MAX, "300", NULL},
    {{"tcp-backlog", NULL, "connections waiting to be accepted", SETTING_IMMUTABLE}, INTEGER,
     AT(tcp_backlog), 0, INT32_MAX, "511", NULL},
    {{"databases", NULL, "number of databases", SETTING_IMMUTABLE}, INTEGER, AT(databases), 16, 16,
     "16", NULL},
    {{"proto-max-bulk-len", NULL, "bytes of one argument at most", 0}, MEMORY,
     AT(proto_max_bulk_len), MB, STR_BYTES_MAX, "512mb", NULL},
    {{"client-query-buffer-limit", NULL, "bytes of unread input of one client at most", 0}, MEMORY,
     AT(client_query_buffer_limit), MB, INT64_MAX, "1gb", NULL},
    {{"client-output-buffer-limit", NULL, "per class: hard bytes, soft bytes, soft seconds", 0},
     OUTPUT_LIMITS, AT(output_limits), 0, 0,
     "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", NULL},
    {{"hash-max-listpack-entries", "hash-max-ziplist-entries", "entries of a compact hash", 0},
     INTEGER, AT(hash_max_listpack_entries), 0, INT64_MAX, "512", NULL},
    {{"hash-max-listpack-value", "hash-max-ziplist-value", "bytes of a compact hash's values", 0},
     MEMORY, AT(hash_max_listpack_value), 0, INT64_MAX, "64", NULL},
    {{"list-max-listpack-size", "list-max-ziplist-size",
      "elements of a compact list; -1 to -5: 4 to 64 KB", 0}, INTEGER, AT(list_max_listpack_size),
     INT32_MIN, INT32_MAX, "-2", NULL},
    {{"list-compress-depth", NULL, "lists are not compressed; accepted, without effect", 0},
     INTEGER, AT(list_compress_depth), 0, INT32_MAX, "0", NULL},
    {{"set-max-intset-entries", NULL, "entries of a compact set of integers", 0}, INTEGER,
     AT(set_max_intset_entries), 0, INT64_MAX, "512", NULL},
    {{"set-max-listpack-entries", NULL, "entries of a compact set", 0}, INTEGER,
     AT(set_max_listpack_entries), 0, INT64_MAX, "128", NULL},
    {{"set-max-listpack-value", NULL, "bytes of a compact set's members", 0}, MEMORY,
     AT(set_max_listpack_value), 0, INT64_MAX, "64", NULL},
    {{"zset-max-listpack-entries", "zset-max-ziplist-entries", "entries of a compact sorted set",
      0}, INTEGER, AT(zset_max_listpack_entries), 0, INT64_MAX, "128", NULL},
    {{"zset-max-listpack-value", "zset-max-ziplist-value",
      "bytes of a compact sorted set's members", 0}, MEMORY, AT(zset_max_listpack_value), 0, INT64_MAX, "64", NULL},
    {{"stream-node-max-bytes", NULL, "streams are kept in blocks; accepted, without effect", 0},
     MEMORY, AT(stream_node_max_bytes), 0, INT64_MAX, "4096", NULL},
    {{"stream-node-max-entries", NULL, "streams are kept in blocks; accepted, without effect", 0},
     INTEGER, AT(stream_node_max_entries), 0, INT64_MAX, "100", NULL},
    {{"slowlog-log-slower-than", NULL, "microseconds; negative: never, 0: everything", 0}, INTEGER,
     AT(slowlog_log_slower_than), -1, INT64_MAX, "10000", NULL},
    {{"slowlog-max-len", NULL, "entries of the slow log", 0}, INTEGER, AT(slowlog_max_len), 0,
     INT64_MAX, "128", NULL},
    {{"hz", NULL, "background turns per second; accepted, without effect", 0}, INTEGER, AT(hz), 0,
     INT32_MAX, "10", NULL},
    {{"notify-keyspace-events", NULL, "which keyspace notifications are published", 0}, NOTIFY,
     AT(notify_keyspace_events), 0, 0, "", NULL},
    {{"journal-segment-bytes", NULL, "bytes of one journal segment",
      SETTING_CLI | SETTING_IMMUTABLE}, MEMORY,
     AT(segment_bytes), MB, 16 * GB, "64mb", NULL},
    {{"snapshot-growth-percent", "auto-aof-rewrite-percentage",
      "a snapshot is made when the journal since the last has this share of its size; 0: only "
      "when asked for",
      SETTING_CLI}, INTEGER, AT(snapshot_growth_percent), 0, INT32_MAX, "100", NULL},
    {{"snapshot-min-bytes", "auto-aof-rewrite-min-size",
      "and the journal since the last snapshot has at least so many bytes", SETTING_CLI}, MEMORY, AT(snapshot_min_bytes), 0, INT64_MAX, "64mb",
     NULL},
    {{"stream-memory", NULL,
      "bytes of stream entries kept in memory, of all streams together; the rest is on disk",
      SETTING_CLI},
     MEMORY, AT(stream_memory), MB, INT64_MAX, "32mb", NULL},
    {{"chunk-file-bytes", NULL,
      "bytes of one file of stream entries: space comes back when all in a file is gone",
      SETTING_CLI | SETTING_IMMUTABLE},
     MEMORY, AT(chunk_file_bytes), MB, 16 * GB, "256mb", NULL},
    {{"stream-retention", NULL,
      "what is kept of streams, by pattern: events:* age=7d bytes=1gb logs:* until-acked",
      SETTING_CLI}, RETENTION, AT(stream_retention), 0, 0, "", NULL},
    {{"durable", NULL,
      "channels, by pattern, that are kept: each is the stream of its name in database 0; none by "
      "default", SETTING_CLI}, TEXT, AT(durable), 0, 0, "", NULL},
    {{"durable-names", NULL,
      "names of connections, by pattern, that get what they missed on durable channels",
      SETTING_CLI}, TEXT, AT(durable_names), 0, 0, "*", NULL},
    {{"durable-retention", NULL,
      "what is kept of a durable channel that no rule of stream-retention matches", SETTING_CLI},
     DURABLE_RETENTION, AT(durable_retention), 0, 0, "age=24h bytes=1gb", NULL},
    {{"durable-window-bytes", NULL,
      "bytes sent to a durable subscriber that do not count as read until more has been sent", 0},
     MEMORY, AT(durable_window_bytes), 0, INT64_MAX, "256kb", NULL},
    {{"durable-window-ms", NULL, "or until so many milliseconds are over", 0}, INTEGER,
     AT(durable_window_ms), 0, INT64_MAX, "30000", NULL},
    {{"durable-spill-bytes", NULL,
      "bytes of output that wait before a slow durable subscriber is read to from its stream", 0},
     MEMORY, AT(durable_spill_bytes), 4096, INT64_MAX, "1mb", NULL},
    {{"durable-subscriber-expiry", NULL,
      "seconds after which a durable subscriber that does not come back is forgotten; 0: never", 0},
     INTEGER, AT(durable_subscriber_expiry), 0, INT32_MAX, "604800", NULL},
    {{"durable-subscribers-max", NULL, "durable subscribers that are remembered for one channel",
      0}, INTEGER, AT(durable_subscribers_max), 0, INT64_MAX, "10000", NULL},
    {{"on-slow", NULL,
      "what happens to slow durable subscribers, by channel: news*=drop-oldest (or spill, "
      "disconnect)", 0}, ON_SLOW, AT(on_slow), 0, 0, "", NULL},
    {{"maxmemory-policy", NULL, "only noeviction: nothing is ever evicted", SETTING_FIXED}, TEXT,
     AT(maxmemory_policy), 0, 0, "noeviction", NULL},
    {{"save", NULL, "snapshots by rule; the journal makes them unnecessary", SETTING_FIXED}, TEXT,
     AT(save), 0, 0, "", NULL},
    {{"appendonly", NULL, "the journal is always on", SETTING_FIXED}, TEXT, AT(appendonly), 0, 0,
     "yes", NULL},
};
/* clang-format on */

enum { ROWS = sizeof rows / sizeof *rows };

static const struct row *row_of(const struct setting *setting)
{
    return (const struct row *)setting; /* its first member */
}

static bool is_text(const struct row *row)
{
    return row->kind == TEXT || row->kind == RETENTION || row->kind == DURABLE_RETENTION ||
           row->kind == ON_SLOW;
}

static void *place(const struct settings *s, const struct row *row)
{
    return (char *)(uintptr_t)s + row->offset;
}

size_t settings_count(void)
{
    return ROWS;
}

const struct setting *settings_at(size_t i)
{
    return &rows[i].setting;
}

const struct setting *settings_find(struct bytes name)
{
    for (size_t i = 0; i < ROWS; i++) {
        const struct setting *s = &rows[i].setting;
        if (bytes_is_word(name, s->name) || (s->alias && bytes_is_word(name, s->alias))) return s;
    }
    return NULL;
}

void settings_init(struct settings *s)
{
    struct buf error = {0};
    *s = (struct settings){0};
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].initial != NULL)
            settings_set(s, &rows[i].setting, bytes_of(rows[i].initial), &error);
    buf_fini(&error);
}

void settings_fini(struct settings *s)
{
    for (size_t i = 0; i < ROWS; i++)
        if (is_text(&rows[i])) mem_free(*(char **)place(s, &rows[i]));
    *s = (struct settings){0};
}

void settings_copy(struct settings *to, const struct settings *from)
{
    *to = *from;
    for (size_t i = 0; i < ROWS; i++) {
        if (!is_text(&rows[i])) continue;
        char **text = place(to, &rows[i]);
        *text = mem_strdup(*text);
    }
}

/* ---- One value ---- */

bool settings_parse_memory(struct bytes value, int64_t *ret)
{
    static const struct {
        const char *unit;
        int64_t factor;
    } units[] = {{"b", 1},           {"k", 1000}, {"kb", KB},
                 {"m", 1000 * 1000}, {"mb", MB},  {"g", 1000 * 1000 * 1000},
                 {"gb", GB},         {"", 1}};
    size_t digits = 0;
    while (digits < value.len && isdigit((unsigned char)value.data[digits])) digits++;
    struct bytes unit = {value.data + digits, value.len - digits};
    int64_t n;
    if (value.len == 0) { /* as Redis takes it */
        *ret = 0;
        return true;
    }
    if (digits == 0 || !num_parse_i64((struct bytes){value.data, digits}, &n)) return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (bytes_is_word(unit, units[i].unit))
            return !__builtin_mul_overflow(n, units[i].factor, ret);
    return false;
}

static int set_number(int64_t *to, const struct row *row, struct bytes value, struct buf *error)
{
    int64_t n;
    bool ok = row->kind == MEMORY ? settings_parse_memory(value, &n) : num_parse_i64(value, &n);
    if (!ok) {
        buf_printf(error, row->kind == MEMORY ? "argument must be a memory value"
                                              : "argument couldn't be parsed into an integer");
        return -1;
    }
    if (n < row->min || n > row->max) {
        buf_printf(error, "argument must be between %lld and %lld inclusive", (long long)row->min,
                   (long long)row->max);
        return -1;
    }
    *to = n;
    return 0;
}

static int set_choice(int64_t *to, const struct row *row, struct bytes value, struct buf *error)
{
    for (const struct choice *c = row->choices; c->name != NULL; c++) {
        if (!bytes_is_word(value, c->name)) continue;
        *to = c->value;
        return 0;
    }
    buf_printf(error, "argument(s) must be one of the following: ");
    for (const struct choice *c = row->choices; c->name != NULL; c++)
        buf_printf(error, "%s%s", c->name, c[1].name ? ", " : "");
    return -1;
}

static int set_text(char **to, const struct row *row, struct bytes value, struct buf *error)
{
    if ((row->setting.flags & SETTING_FIXED) && *to != NULL &&
        !bytes_eq_nocase(value, bytes_of(*to))) {
        buf_printf(error, "leat knows only '%s' here", *to);
        return -1;
    }
    char *text = mem_alloc(value.len + 1);
    if (value.len > 0) memcpy(text, value.data, value.len);
    text[value.len] = '\0';
    mem_free(*to);
    *to = text;
    return 0;
}

static int set_retention(char **to, const struct row *row, struct bytes value, struct buf *error)
{
    struct retention_rules rules;
    bool good = retention_rules_parse(value, &rules, error);
    retention_rules_fini(&rules);
    return good ? set_text(to, row, value, error) : -1;
}

static int set_durable(char **to, const struct row *row, struct bytes value, struct buf *error)
{
    struct stream_retention ignored;
    bool on_slow = row->kind == ON_SLOW;
    if (on_slow ? durable_on_slow_is_valid(value) : durable_parse_retention(value, &ignored))
        return set_text(to, row, value, error);
    buf_printf(error, on_slow
                          ? "argument must be words like news*=drop-oldest (or spill, disconnect)"
                          : "argument must name an age or a size, as age=24h bytes=1gb");
    return -1;
}

static int class_of(struct bytes name)
{
    static const char *const names[] = {"normal", "slave", "pubsub"};
    for (int i = 0; i < 3; i++)
        if (bytes_is_word(name, names[i])) return i;
    return bytes_is_word(name, "replica") ? 1 : -1;
}

static const char *read_limits(const struct bytes *words, ssize_t n, struct output_limit *ret)
{
    if (n <= 0 || n % 4 != 0) return "Wrong number of arguments in buffer limit configuration.";
    for (ssize_t i = 0; i < n; i += 4) {
        int class = class_of(words[i]);
        struct output_limit limit;
        if (class < 0) return "Invalid client class specified in buffer limit configuration.";
        if (!settings_parse_memory(words[i + 1], &limit.hard) ||
            !settings_parse_memory(words[i + 2], &limit.soft) ||
            !num_parse_i64(words[i + 3], &limit.soft_s) || limit.soft_s < 0)
            return "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
        ret[class] = limit;
    }
    return NULL;
}

static int set_output_limits(struct output_limit *to, struct bytes value, struct buf *error)
{
    struct output_limit next[3] = {to[0], to[1], to[2]};
    struct buf text = {0};
    struct bytes *words = NULL;
    ssize_t n = resp_split_line(value, &text, &words);
    const char *why = read_limits(words, n, next);
    if (why == NULL) memcpy(to, next, sizeof next);
    else buf_printf(error, "%s", why);
    mem_free(words);
    buf_fini(&text);
    return why == NULL ? 0 : -1;
}

int settings_set(struct settings *s, const struct setting *setting, struct bytes value,
                 struct buf *error)
{
    const struct row *row = row_of(setting);
    void *to = place(s, row);
    switch (row->kind) {
    case INTEGER:
    case MEMORY:
        return set_number(to, row, value, error);
    case CHOICE:
        return set_choice(to, row, value, error);
    case TEXT:
        return set_text(to, row, value, error);
    case DURABLE_RETENTION:
    case ON_SLOW:
        return set_durable(to, row, value, error);
    case RETENTION:
        return set_retention(to, row, value, error);
    case NOTIFY:
        if (notify_parse(value, to)) return 0;
        buf_printf(error, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
        return -1;
    case OUTPUT_LIMITS:
        return set_output_limits(to, value, error);
    }
    return -1;
}

void settings_get(const struct settings *s, const struct setting *setting, struct buf *out)
{
    static const char *const classes[] = {"normal", "slave", "pubsub"};
    const struct row *row = row_of(setting);
    const void *at = place(s, row);
    switch (row->kind) {
    case INTEGER:
    case MEMORY:
        buf_printf(out, "%lld", (long long)*(const int64_t *)at);
        break;
    case TEXT:
    case DURABLE_RETENTION:
    case ON_SLOW:
    case RETENTION:
        buf_printf(out, "%s", *(char *const *)at);
        break;
    case CHOICE:
        for (const struct choice *c = row->choices; c->name != NULL; c++)
            if (c->value == *(const int64_t *)at) buf_printf(out, "%s", c->name);
        break;
    case NOTIFY:
        notify_format(*(const unsigned *)at, out);
        break;
    case OUTPUT_LIMITS:
        for (int i = 0; i < 3; i++) {
            const struct output_limit *l = &((const struct output_limit *)at)[i];
            buf_printf(out, "%s%s %lld %lld %lld", i ? " " : "", classes[i], (long long)l->hard,
                       (long long)l->soft, (long long)l->soft_s);
        }
        break;
    }
}

/* ---- File and environment ---- */

static struct bytes joined(const struct bytes *words, ssize_t n, struct buf *text)
{
    for (ssize_t i = 0; i < n; i++) {
        if (i > 0) buf_putc(text, ' ');
        buf_put(text, words[i]);
    }
    return text->data == NULL ? BYTES("") : buf_bytes(text);
}

static const struct setting *nearest(struct bytes name)
{
    for (size_t i = 0; i < ROWS; i++) {
        size_t n = strlen(rows[i].setting.name);
        size_t common = 0;
        while (common < n && common < name.len && rows[i].setting.name[common] == name.data[common])
            common++;
        if (common >= 3 && common * 2 >= n) return &rows[i].setting;
    }
    return NULL;
}

static int load_line(struct settings *s, const struct bytes *words, ssize_t n, const char *where,
                     struct buf *errors)
{
    const struct setting *setting = settings_find(words[0]);
    if (setting == NULL) {
        const struct setting *near = nearest(words[0]);
        buf_printf(errors, "%s: unknown setting '%.*s'", where, (int)words[0].len, words[0].data);
        if (near != NULL) buf_printf(errors, "; did you mean '%s'?", near->name);
        buf_printf(errors, "; `leat help settings` lists all\n");
        return -1;
    }
    struct buf text = {0}, why = {0};
    int result = settings_set(s, setting, joined(words + 1, n - 1, &text), &why);
    if (result < 0)
        buf_printf(errors, "%s: %s: %.*s\n", where, setting->name, (int)why.len, why.data);
    buf_fini(&text);
    buf_fini(&why);
    return result;
}

int settings_load_file(struct settings *s, const char *path, struct buf *errors)
{
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        buf_printf(errors, "%s: cannot be read: %s\n", path, strerror(errno));
        return -1;
    }
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    int result = 0;
    for (int number = 1; (len = getline(&line, &cap, f)) >= 0; number++) {
        char where[512];
        struct buf text = {0};
        struct bytes *words = NULL;
        struct bytes trimmed = {line, (size_t)len};
        while (trimmed.len > 0 && isspace((unsigned char)trimmed.data[trimmed.len - 1]))
            trimmed.len--;
        while (trimmed.len > 0 && isspace((unsigned char)*trimmed.data))
            trimmed.data++, trimmed.len--;
        if (trimmed.len == 0 || *trimmed.data == '#') continue;
        snprintf(where, sizeof where, "%s:%d", path, number);
        ssize_t n = resp_split_line(trimmed, &text, &words);
        if (n < 0) {
            buf_printf(errors, "%s: unbalanced quotes\n", where);
            result = -1;
        } else if (load_line(s, words, n, where, errors) < 0) {
            result = -1;
        }
        mem_free(words);
        buf_fini(&text);
    }
    free(line);
    fclose(f);
    return result;
}

int settings_load_environment(struct settings *s, struct buf *errors)
{
    int result = 0;
    for (size_t i = 0; i < ROWS; i++) {
        char name[64] = "LEAT_";
        size_t n = strlen(name);
        if (!(rows[i].setting.flags & SETTING_CLI)) continue;
        for (const char *c = rows[i].setting.name; *c != '\0' && n < sizeof name - 1; c++)
            name[n++] = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
        name[n] = '\0';
        const char *value = getenv(name);
        if (value == NULL) continue;
        struct buf why = {0};
        if (settings_set(s, &rows[i].setting, bytes_of(value), &why) < 0) {
            buf_printf(errors, "environment: %s: %.*s\n", name, (int)why.len, why.data);
            result = -1;
        }
        buf_fini(&why);
    }
    return result;
}
