#include "broker/durable_settings.h"

#include "broker/retention.h"
#include "broker/settings.h"

bool durable_next_word(struct bytes *rest, struct bytes *ret_word)
{
    while (rest->len > 0 && *rest->data == ' ') rest->data++, rest->len--;
    size_t n = 0;
    while (n < rest->len && rest->data[n] != ' ') n++;
    *ret_word = (struct bytes){rest->data, n};
    rest->data += n;
    rest->len -= n;
    return n > 0;
}

static bool begins_with(struct bytes *word, const char *name)
{
    size_t n = strlen(name);
    if (word->len < n || memcmp(word->data, name, n) != 0) return false;
    word->data += n;
    word->len -= n;
    return true;
}

bool durable_parse_retention(struct bytes text, struct stream_retention *ret)
{
    struct stream_retention keep = {0};
    struct bytes word;
    while (durable_next_word(&text, &word)) {
        int64_t n;
        if (begins_with(&word, "age=")) {
            if (!retention_parse_age(word, &keep.age_ms)) return false;
        } else if (begins_with(&word, "bytes=")) {
            if (!settings_parse_memory(word, &n) || n <= 0) return false;
            keep.bytes = (uint64_t)n;
        } else if (bytes_is_word(word, "until-acked")) {
            keep.acknowledged = true;
        } else {
            return false;
        }
    }
    if (keep.age_ms == 0 && keep.bytes == 0) return false;
    *ret = keep;
    return true;
}

bool durable_parse_on_slow(struct bytes word, struct bytes *ret_pattern,
                           enum durable_policy *ret_policy)
{
    static const char *const names[] = {"spill", "disconnect", "drop-oldest"};
    size_t at = word.len;
    while (at > 0 && word.data[at - 1] != '=') at--;
    struct bytes policy = {word.data + at, word.len - at};
    if (at < 2) return false;
    for (int i = 0; i < 3; i++) {
        if (!bytes_is_word(policy, names[i])) continue;
        *ret_pattern = (struct bytes){word.data, at - 1};
        *ret_policy = (enum durable_policy)i;
        return true;
    }
    return false;
}

bool durable_on_slow_is_valid(struct bytes text)
{
    struct bytes word, pattern;
    enum durable_policy policy;
    while (durable_next_word(&text, &word))
        if (!durable_parse_on_slow(word, &pattern, &policy)) return false;
    return true;
}
