/* Active expiry: keys are deleted when their time has come, each as an explicit effect, in the
 * order of their times and within a budget per turn. Paused while CLIENT PAUSE forbids writes. */
#include "broker/internal.h"

static void expire_key(struct broker *b, int db, struct key *k)
{
    struct call c = {
        .broker = b, .fx = &b->fx, .ks = b->ks, .arena = &b->arena, .db = db, .now_ms = b->now_ms};
    struct bytes name = arena_dup(&b->arena, key_name(k));
    change_delete(&c, db, k);
    call_event(&c, NOTIFY_EXPIRED, "expired", name);
    b->expired_keys++;
    broker_drain(b, NULL);
    b->fx.depends = 0;
}

enum { KEYS_PER_CLOCK = 32, RECORD_BYTES = 128, RETRY_MS = 100 };

int64_t broker_next_expiry_ms(const struct broker *b)
{
    int64_t due = INT64_MAX;
    if (b->pause_until_ms > b->now_ms) return due;
    for (int db = 0; db < KEYSPACE_DBS; db++) {
        struct key *k = keyspace_first_to_expire(b->ks, db);
        if (k != NULL && k->expire_at_ms < due) due = k->expire_at_ms;
    }
    return due < b->expire_not_before_ms ? b->expire_not_before_ms : due;
}

bool broker_expire(struct broker *b, int64_t budget_us)
{
    if (b->pause_until_ms > b->now_ms || b->expire_not_before_ms > b->now_ms) return false;
    int64_t start = b->options.monotonic_us();
    int n = 0;
    for (int db = 0; db < KEYSPACE_DBS; db++) {
        struct key *k;
        while ((k = keyspace_first_to_expire(b->ks, db)) != NULL && key_is_expired(k, b->now_ms)) {
            if (journal_admit(b->journal, k->name_len + RECORD_BYTES, true) < 0) {
                b->expire_not_before_ms = b->now_ms + RETRY_MS;
                return false;
            }
            expire_key(b, db, k);
            if (++n % KEYS_PER_CLOCK == 0 && b->options.monotonic_us() - start > budget_us)
                return true;
        }
    }
    return false;
}
