/* See when.h. Times of day are the local zone's, as `date` shows them; what programs read is UTC.
 */
#include "cli/tool/when.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/num.h"
#include "flow/units.h"

static const int64_t DAY_MS = INT64_C(24) * 3600 * 1000;

const char *stream_id_text(struct stream_id id, char *out)
{
    out[stream_id_format(out, id)] = '\0';
    return out;
}

struct stream_id stream_id_before(struct stream_id id)
{
    if (id.seq > 0) return (struct stream_id){id.ms, id.seq - 1};
    if (id.ms > 0) return (struct stream_id){id.ms - 1, UINT64_MAX};
    return id;
}

struct stream_id stream_id_after(struct stream_id id)
{
    if (id.seq < UINT64_MAX) return (struct stream_id){id.ms, id.seq + 1};
    if (id.ms < UINT64_MAX) return (struct stream_id){id.ms + 1, 0};
    return id;
}

bool stream_id_is_time(struct stream_id id)
{
    return id.ms >= UINT64_C(978307200000) && id.ms < UINT64_C(4102444800000);
}

/* ---- Reading times ---- */

int64_t when_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct tm local(int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    localtime_r(&seconds, &tm);
    return tm;
}

static int64_t midnight(int64_t ms)
{
    struct tm tm = local(ms);
    tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
    tm.tm_isdst = -1;
    return (int64_t)mktime(&tm) * 1000;
}

static bool parse_ago(const char *text, int64_t now_ms, int64_t *ret_ms)
{
    static const char ending[] = "-ago";
    size_t len = strlen(text), tail = sizeof ending - 1;
    int64_t span;
    const char *why;
    if (len <= tail || strcmp(text + len - tail, ending) != 0) return false;
    if (units_duration_ms((struct bytes){text, len - tail}, &span, &why) < 0) return false;
    *ret_ms = span < now_ms ? now_ms - span : 0;
    return true;
}

/* Takes exactly `digits` digits. */
static bool take(const char **at, int digits, int max, int *ret)
{
    int n = 0;
    for (int i = 0; i < digits; i++) {
        char c = (*at)[i];
        if (c < '0' || c > '9') return false;
        n = n * 10 + (c - '0');
    }
    if (n > max) return false;
    *at += digits;
    *ret = n;
    return true;
}

/* HH:MM[:SS[.mmm]] */
static bool take_clock(const char **at, struct tm *tm, int *ret_ms)
{
    int scale = 100, digit;
    if (!take(at, 2, 23, &tm->tm_hour) || *(*at)++ != ':') return false;
    if (!take(at, 2, 59, &tm->tm_min)) return false;
    if (**at != ':') return true;
    ++*at;
    if (!take(at, 2, 60, &tm->tm_sec)) return false;
    if (**at != '.') return true;
    for (++*at; take(at, 1, 9, &digit); scale /= 10) *ret_ms += digit * scale;
    return true;
}

/* Nothing, Z, or +HH:MM. */
static bool take_zone(const char **at, bool *ret_given, int *ret_seconds)
{
    int hours, minutes, sign = **at == '-' ? -1 : 1;
    *ret_seconds = 0;
    *ret_given = **at != '\0';
    if (**at == 'Z') ++*at;
    else if (*ret_given) {
        if (**at != '+' && **at != '-') return false;
        ++*at;
        if (!take(at, 2, 14, &hours)) return false;
        if (**at == ':') ++*at;
        if (!take(at, 2, 59, &minutes)) return false;
        *ret_seconds = sign * (hours * 3600 + minutes * 60);
    }
    return **at == '\0';
}

/* Whether the day was one: mktime makes March of the 30th of February. */
static bool to_ms(struct tm tm, bool zone, int zone_seconds, int fraction_ms, int64_t *ret_ms)
{
    int day = tm.tm_mday, month = tm.tm_mon;
    tm.tm_isdst = -1;
    time_t seconds = zone ? timegm(&tm) : mktime(&tm);
    if (tm.tm_mday != day || tm.tm_mon != month) return false;
    *ret_ms = ((int64_t)seconds - zone_seconds) * 1000 + fraction_ms;
    return *ret_ms >= 0;
}

static bool parse_time_of_day(const char *text, int64_t now_ms, int64_t *ret_ms)
{
    struct tm tm = local(now_ms);
    int ms = 0;
    tm.tm_sec = 0;
    return take_clock(&text, &tm, &ms) && *text == '\0' && to_ms(tm, false, 0, ms, ret_ms);
}

static bool parse_date(const char *text, int64_t *ret_ms)
{
    struct tm tm = {0};
    int ms = 0, zone_seconds;
    bool zone;
    if (!take(&text, 4, 9999, &tm.tm_year) || *text++ != '-') return false;
    if (!take(&text, 2, 12, &tm.tm_mon) || *text++ != '-') return false;
    if (!take(&text, 2, 31, &tm.tm_mday)) return false;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    if (*text == 'T' || *text == ' ') {
        text++;
        if (!take_clock(&text, &tm, &ms)) return false;
    }
    return take_zone(&text, &zone, &zone_seconds) && to_ms(tm, zone, zone_seconds, ms, ret_ms);
}

static bool parse_time(const char *text, int64_t now_ms, int64_t *ret_ms)
{
    if (strcmp(text, "now") == 0) *ret_ms = now_ms;
    else if (strcmp(text, "today") == 0) *ret_ms = midnight(now_ms);
    else if (strcmp(text, "yesterday") == 0) *ret_ms = midnight(midnight(now_ms) - DAY_MS / 2);
    else
        return parse_ago(text, now_ms, ret_ms) || parse_time_of_day(text, now_ms, ret_ms) ||
               parse_date(text, ret_ms);
    return true;
}

bool position_parse(const char *text, int64_t now_ms, struct position *ret, const char **ret_why)
{
    int64_t ms;
    bool behind = *text == '(';
    const char *id = behind ? text + 1 : text;
    *ret = (struct position){.kind = POSITION_ID};
    if (bytes_is_word(bytes_of(text), "start") || strcmp(text, "-") == 0)
        ret->kind = POSITION_START;
    else if (bytes_is_word(bytes_of(text), "end") || strcmp(text, "$") == 0)
        ret->kind = POSITION_END;
    else if (stream_id_parse(bytes_of(id), 0, &ret->id))
        ret->id = behind ? stream_id_after(ret->id) : ret->id;
    else if (parse_time(text, now_ms, &ms)) ret->id = (struct stream_id){(uint64_t)ms, 0};
    else {
        *ret_why = "write " POSITION_HELP;
        return false;
    }
    return true;
}

/* ---- Writing times ---- */

void when_put_iso(struct buf *out, int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char text[64];
    gmtime_r(&seconds, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    buf_printf(out, "%s.%03dZ", text, (int)(ms % 1000));
}

void when_put_short(struct buf *out, int64_t ms, int64_t now_ms)
{
    struct tm tm = local(ms), now = local(now_ms);
    bool today = tm.tm_year == now.tm_year && tm.tm_yday == now.tm_yday;
    bool near = llabs((long long)(now_ms - ms)) < INT64_C(182) * DAY_MS;
    char text[64];
    strftime(text, sizeof text, today ? "%H:%M:%S" : near ? "%b %d %H:%M" : "%Y-%m-%d", &tm);
    buf_append(out, text, strlen(text));
}

void when_put_span(struct buf *out, int64_t ms)
{
    int64_t s = ms / 1000;
    if (ms < 0) buf_printf(out, "0ms");
    else if (ms < 1000) buf_printf(out, "%dms", (int)ms);
    else if (s < 60) buf_printf(out, "%d.%ds", (int)s, (int)(ms % 1000 / 100));
    else if (s < 3600) buf_printf(out, "%dm%02ds", (int)(s / 60), (int)(s % 60));
    else if (s < 24 * 3600) buf_printf(out, "%dh%02dm", (int)(s / 3600), (int)(s / 60 % 60));
    else buf_printf(out, "%lldd%02dh", (long long)(s / 86400), (int)(s / 3600 % 24));
}
