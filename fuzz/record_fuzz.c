/* Fuzzes the reader of journal records: any bytes are applied to a keyspace or refused; a refused
 * record ends the replay, as it ends a start. A second keyspace takes them as those of a
 * salvaged journal, which need not fit, and goes on behind what the first refuses.
 *
 * The input is a sequence of records, each behind its length in one byte. */
#include "base/hash.h"
#include "base/mem.h"
#include "base/must.h"
#include "broker/records.h"
#include "keys/keyspace.h"
#include "keys/stream.h"
#include "keys/stream_group.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A long string at a far offset is a record like any other, and takes all the memory there is. */
static bool is_too_far(struct bytes record)
{
    enum { OFFSET_MAX = 1 << 16 };
    if (record.len < 2 || record.data[0] != REC_STRING_WRITE) return false;
    struct record r = {.rest = {record.data + 2, record.len - 2}};
    record_bytes(&r);
    return record_int(&r) > OFFSET_MAX;
}

/* Every pending entry is one of a consumer that is there. */
static void check_group(const struct group *g)
{
    uint64_t sum = 0;
    struct pending_iter it;
    struct pending_entry e;
    for (size_t i = 0; i < g->consumer_count; i++) sum += g->consumers[i]->pending;
    must(sum == g->pending.count);
    pending_iter_init(&it, &g->pending, STREAM_ID_MIN, PENDING_ANY, INT64_MAX);
    for (; pending_iter_next(&it, &e); sum--) must(group_owner(g, &e) != NULL);
    must(sum == 0);
}

static void check_key(void *item, void *arg)
{
    const struct key *k = item;
    if (k->type != KEY_STREAM) return;
    const struct groups *g = stream_of(k)->groups;
    for (size_t i = 0; i < groups_count(g); i++) check_group(g->list[i]);
}

/* What must hold however the keys came to be. */
static void check(struct keyspace *ks)
{
    uint64_t cursor = 0;
    do cursor = keyspace_scan(ks, 0, cursor, check_key, NULL);
    while (cursor != 0);
    for (int db = 0; db < KEYSPACE_DBS; db++) {
        must(keyspace_count_expiring(ks, db) <= keyspace_count(ks, db));
        struct key *k = keyspace_first_to_expire(ks, db);
        must((k == NULL) == (keyspace_count_expiring(ks, db) == 0));
        if (k != NULL) must(keyspace_find(ks, db, key_name(k), hash_bytes(key_name(k))) == k);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct keyspace *ks = keyspace_new(), *salvaged = keyspace_new();
    bool refused = false;
    for (size_t at = 0; at < size;) {
        size_t len = data[at++];
        if (len > size - at) len = size - at;
        struct bytes record = {(const char *)data + at, len};
        at += len;
        if (is_too_far(record)) break;
        char *exact = mem_dup(record.data, len); /* so that one byte too far is seen */
        record.data = exact;
        if (!refused) refused = replay_record(ks, record) < 0;
        int result = replay_record_salvaged(salvaged, record);
        mem_free(exact);
        if (!refused) check(ks);
        if (result < 0) break;
        check(salvaged);
    }
    keyspace_free(ks);
    keyspace_free(salvaged);
    return 0;
}
