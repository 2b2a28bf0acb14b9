/* Durations, sizes and counts; see units.h. */
#include "flow/units.h"

struct unit {
    const char *name;
    int64_t worth;
};

static const int64_t DURATION_MAX_MS = INT64_C(10) * 366 * 24 * 3600 * 1000;
static const int64_t SIZE_MAX_BYTES = INT64_C(1) << 50;
static const int64_t COUNT_MAX = INT64_C(1000) * 1000 * 1000 * 1000;

/* Takes the digits at the front of *text; false when there are none or too many. */
static bool take_number(struct bytes *text, int64_t *ret)
{
    int64_t n = 0;
    size_t digits = 0;
    while (digits < text->len && text->data[digits] >= '0' && text->data[digits] <= '9') {
        if (digits == 16) return false;
        n = n * 10 + (text->data[digits++] - '0');
    }
    if (digits == 0) return false;
    text->data += digits;
    text->len -= digits;
    *ret = n;
    return true;
}

/* Takes the letters at the front of *text: 0 when they name no unit. */
static int64_t take_unit(struct bytes *text, const struct unit *units)
{
    size_t letters = 0;
    while (letters < text->len && (text->data[letters] < '0' || text->data[letters] > '9'))
        letters++;
    struct bytes name = {text->data, letters};
    text->data += letters;
    text->len -= letters;
    for (; units->name != NULL; units++)
        if (bytes_eq_nocase(name, bytes_of(units->name))) return units->worth;
    return 0;
}

static int refuse(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -1;
}

int units_duration_ms(struct bytes text, int64_t *ret_ms, const char **ret_why)
{
    static const struct unit units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000},
        {NULL, 0}};
    int64_t sum = 0;
    do {
        int64_t n, worth;
        if (!take_number(&text, &n))
            return refuse(ret_why, "a duration is written like 10s or 30m");
        if (text.len == 0) return refuse(ret_why, "a duration needs a unit");
        if ((worth = take_unit(&text, units)) == 0)
            return refuse(ret_why, "a duration's units are ms, s, m, h and d");
        if (n > DURATION_MAX_MS / worth || (sum += n * worth) > DURATION_MAX_MS)
            return refuse(ret_why, "a duration is at most ten years");
    } while (text.len > 0);
    *ret_ms = sum;
    return 0;
}

int units_size(struct bytes text, int64_t *ret_bytes, const char **ret_why)
{
    static const struct unit units[] = {{"", 1},         {"b", 1},        {"kb", 1024},
                                        {"mb", 1 << 20}, {"gb", 1 << 30}, {NULL, 0}};
    int64_t n, worth;
    if (!take_number(&text, &n) || (worth = take_unit(&text, units)) == 0 || text.len > 0)
        return refuse(ret_why, "a size is written like 1048576, 64KB or 1MB");
    if (n > SIZE_MAX_BYTES / worth) return refuse(ret_why, "too large");
    *ret_bytes = n * worth;
    return 0;
}

int units_count(struct bytes text, int64_t *ret_count, const char **ret_why)
{
    int64_t n;
    if (!take_number(&text, &n) || text.len > 0) return refuse(ret_why, "not a whole number");
    if (n > COUNT_MAX) return refuse(ret_why, "too large");
    *ret_count = n;
    return 0;
}
