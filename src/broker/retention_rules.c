/* The setting `stream-retention`: patterns, each with what is kept of the streams it matches. */
#include <ctype.h>

#include "base/mem.h"
#include "base/num.h"
#include "broker/retention.h"
#include "broker/settings.h"
#include "resp/request.h"

bool retention_parse_age(struct bytes text, int64_t *ret_ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1},       {"s", 1000},      {"m", 60000}, {"h", 3600000},
                 {"d", 86400000}, {"w", 604800000}, {"", 1}};
    size_t digits = 0;
    int64_t n;
    while (digits < text.len && isdigit((unsigned char)text.data[digits])) digits++;
    struct bytes unit = {text.data + digits, text.len - digits};
    if (digits == 0 || !num_parse_i64((struct bytes){text.data, digits}, &n) || n == 0)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (bytes_is_word(unit, units[i].unit))
            return !__builtin_mul_overflow(n, units[i].ms, ret_ms);
    return false;
}

/* "name=value"? Then the value. */
static bool is_option(struct bytes word, const char *name, struct bytes *ret_value)
{
    size_t n = strlen(name);
    if (word.len <= n || word.data[n] != '=') return false;
    *ret_value = (struct bytes){word.data + n + 1, word.len - n - 1};
    return bytes_is_word((struct bytes){word.data, n}, name);
}

static void add_rule(struct retention_rules *rules, struct bytes pattern)
{
    char *copy = mem_alloc(pattern.len + 1);
    if (pattern.len > 0) memcpy(copy, pattern.data, pattern.len);
    rules->list = mem_realloc(rules->list, (rules->count + 1) * sizeof *rules->list);
    rules->list[rules->count++] = (struct retention_rule){.pattern = {copy, pattern.len}};
}

static const char *take_option(struct stream_retention *keep, struct bytes value, bool is_age)
{
    int64_t n;
    if (is_age) return retention_parse_age(value, &keep->age_ms) ? NULL : "is no time, as 7d is";
    if (!settings_parse_memory(value, &n) || n <= 0) return "is no size, as 1gb is";
    keep->bytes = (uint64_t)n;
    return NULL;
}

/* What is wrong with the word; NULL. */
static const char *take_word(struct retention_rules *rules, struct bytes word)
{
    struct bytes value;
    bool is_age = is_option(word, "age", &value);
    bool until_acked = bytes_is_word(word, "until-acked");
    if (!is_age && !until_acked && !is_option(word, "bytes", &value)) {
        if (rules->count > 0 && !retention_is_given(&rules->list[rules->count - 1].keep))
            return "follows a pattern without age=, bytes= or until-acked";
        add_rule(rules, word);
        return NULL;
    }
    if (rules->count == 0) return "has no pattern before it";
    struct stream_retention *keep = &rules->list[rules->count - 1].keep;
    if (!until_acked) return take_option(keep, value, is_age);
    keep->acknowledged = true;
    return NULL;
}

bool retention_rules_parse(struct bytes text, struct retention_rules *ret, struct buf *error)
{
    struct buf room = {0};
    struct bytes *words = NULL;
    *ret = (struct retention_rules){0};
    ssize_t n = text.len == 0 ? 0 : resp_split_line(text, &room, &words);
    const char *why = n < 0 ? "has unbalanced quotes" : NULL;
    struct bytes word = text;
    for (ssize_t i = 0; i < n && why == NULL; i++) why = take_word(ret, word = words[i]);
    if (why == NULL && ret->count > 0 && !retention_is_given(&ret->list[ret->count - 1].keep))
        why = "is a pattern without age=, bytes= or until-acked";
    if (why != NULL) buf_printf(error, "'%.*s' %s", (int)word.len, word.data, why);
    mem_free(words);
    buf_fini(&room);
    return why == NULL;
}

void retention_rules_fini(struct retention_rules *rules)
{
    for (size_t i = 0; i < rules->count; i++) mem_free((char *)rules->list[i].pattern.data);
    mem_free(rules->list);
    *rules = (struct retention_rules){0};
}
