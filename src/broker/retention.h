/* Retention: what of streams goes by itself, by age, by bytes, and once every group has
 * acknowledged it. A stream follows what XRETAIN gave it, else the first rule of the setting
 * `stream-retention` whose pattern its name matches:
 *
 *     stream-retention events:* age=7d bytes=1gb logs:* until-acked
 *
 * Age and bytes always win: they take what is not acknowledged, too. The broker looks at all
 * streams in the background, in small steps; each trim is a record and an event like XTRIM's. */
#ifndef LEAT_BROKER_RETENTION_H
#define LEAT_BROKER_RETENTION_H

#include "base/buf.h"
#include "keys/stream.h"

struct broker;

struct retention_rule {
    struct bytes pattern; /* owned */
    struct stream_retention keep;
};
struct retention_rules {
    struct retention_rule *list;
    size_t count;
};

/* False with what is wrong in `error`; *ret is to be given to _fini either way. */
bool retention_rules_parse(struct bytes text, struct retention_rules *ret, struct buf *error);
void retention_rules_fini(struct retention_rules *rules);
/* "7d", "12h", "30m", "45s", "1500ms", "1500": a time in milliseconds, at least 1. */
bool retention_parse_age(struct bytes text, int64_t *ret_ms);

struct retention *retention_new(void);
void retention_free(struct retention *r);
static inline bool retention_is_given(const struct stream_retention *keep)
{
    return keep->age_ms > 0 || keep->bytes > 0 || keep->acknowledged;
}
/* What holds for a stream: its own, else that of the first pattern, else nothing. */
enum retention_source { RETENTION_NONE, RETENTION_OF_STREAM, RETENTION_OF_PATTERN };
enum retention_source retention_of(struct broker *b, struct bytes name, const struct stream *s,
                                   struct stream_retention *ret);
/* Some stream may have got one: they are to be looked at. */
void retention_wake(struct broker *b);
/* For INFO: the group that holds most back, of all streams that are kept until it has acknowledged.
 */
void retention_info(struct broker *b, struct buf *out);
/* In the background, some hundred microseconds at most. */
void retention_step(struct broker *b);

#endif
