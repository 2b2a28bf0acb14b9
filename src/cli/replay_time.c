/* When a recorded event was: by its SSE id or by its fields. */
#include "cli/replay_time.h"

#include <time.h>

#include "base/num.h"

/* A number, also as a string. */
static int64_t number(struct json_parser *p, const char *path)
{
    struct json_value v;
    int64_t n;
    json_get(p, bytes_of(path), &v);
    if (v.type != JSON_NUMBER && v.type != JSON_STRING) return -1;
    return num_parse_i64(v.text, &n) && n >= 0 ? n : -1;
}

/* "2023-01-25T17:17:36Z", with or without a fraction. */
static int64_t iso_time(struct bytes text)
{
    char copy[40];
    struct tm tm = {0};
    int ms = 0;
    if (text.len >= sizeof copy) return -1;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    const char *rest = strptime(copy, "%Y-%m-%dT%H:%M:%S", &tm);
    if (rest == NULL) return -1;
    if (*rest == '.') rest++;
    for (int scale = 100; *rest >= '0' && *rest <= '9'; rest++, scale /= 10) {
        ms += scale * (*rest - '0');
    }
    return timegm(&tm) * 1000LL + ms;
}

static int64_t time_of_id(struct json_parser *p, struct bytes id)
{
    struct json_value all, part;
    const char *error;
    int64_t latest = -1;
    if (id.len == 0 || id.data[0] != '[' || json_parse(p, id, &error) != 0) return -1;
    json_get(p, BYTES(""), &all);
    size_t count = json_count(&all);
    for (size_t i = 0; i < count; i++) {
        struct json_value v;
        int64_t n;
        json_element(p, &all, i, &part);
        json_field(p, &part, BYTES("timestamp"), &v);
        if (v.type == JSON_NUMBER && num_parse_i64(v.text, &n) && n > latest) latest = n;
    }
    return latest;
}

int64_t replay_time(struct json_parser *p, struct bytes id, struct bytes data)
{
    const int64_t seconds_max = 100000000000; /* the year 5138; in milliseconds 1973 */
    struct json_value dt;
    const char *error;
    int64_t t = time_of_id(p, id);
    if (t >= 0 || json_parse(p, data, &error) != 0) return t;
    if ((t = number(p, "timestamp_ms")) >= 0) return t;
    json_get(p, BYTES("meta.dt"), &dt);
    if (dt.type == JSON_STRING && (t = iso_time(dt.text)) >= 0) return t;
    t = number(p, "timestamp");
    return t >= 0 && t < seconds_max ? t * 1000 : t;
}
