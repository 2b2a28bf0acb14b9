#include "broker/change_testing.h"

#include "base/mem.h"
#include "broker/retention.h"

static struct buf *begin_record(void *arg)
{
    return &((struct changes *)arg)->records;
}

static uint64_t end_record(void *arg)
{
    struct changes *ch = arg;
    if (ch->count == ch->cap) {
        ch->cap = ch->cap > 0 ? ch->cap * 2 : 64;
        ch->ends = mem_realloc(ch->ends, ch->cap * sizeof *ch->ends);
    }
    ch->ends[ch->count++] = ch->records.len;
    return ch->records.len;
}

void changes_init(struct changes *ch)
{
    *ch = (struct changes){.broker = mem_calloc(sizeof *ch->broker)};
    struct broker *broker = ch->broker;
    settings_init(&broker->settings);
    broker->positions = mem_calloc(POSITION_SLOTS * sizeof *broker->positions);
    broker->ks = keyspace_new();
    broker->retention = retention_new();
    broker->snapshots = snapshots_new();
    arena_init(&broker->arena);
    effects_init(&broker->fx, &broker->arena);
    broker->fx.sink = (struct record_sink){begin_record, end_record, ch};
    ch->call = (struct call){.broker = broker,
                             .fx = &broker->fx,
                             .ks = broker->ks,
                             .arena = &broker->arena,
                             .now_ms = 1000,
                             .session = mem_calloc(sizeof(struct session))};
}

void changes_fini(struct changes *ch)
{
    keyspace_free(ch->broker->ks);
    retention_free(ch->broker->retention);
    snapshots_free(ch->broker->snapshots);
    effects_fini(&ch->broker->fx);
    buf_fini(&ch->records);
    mem_free(ch->ends);
    arena_fini(&ch->broker->arena);
    settings_fini(&ch->broker->settings);
    mem_free(ch->broker->positions);
    mem_free(ch->call.session);
    mem_free(ch->broker);
}

void changes_end(struct changes *ch)
{
    effects_finish(&ch->broker->fx);
    effects_reset(&ch->broker->fx);
    arena_reset(&ch->broker->arena);
    ch->call.hashed = (struct bytes){NULL, 0};
}

struct bytes changes_record(const struct changes *ch, size_t i)
{
    size_t start = i == 0 ? 0 : ch->ends[i - 1];
    return (struct bytes){ch->records.data + start, ch->ends[i] - start};
}

void changes_forget(struct changes *ch)
{
    ch->records.len = 0;
    ch->count = 0;
}
