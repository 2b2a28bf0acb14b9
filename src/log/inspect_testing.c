#include "log/inspect_testing.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/must.h"

uint64_t position_of(uint64_t records)
{
    return records * (RECORD_PREFIX + INSPECTED_RECORD);
}

static int replay(void *arg, struct bytes record, uint64_t position)
{
    struct seen *s = arg;
    uint64_t number = strtoull(record.data, NULL, 10);
    if (s->next == UINT64_MAX) s->first = s->next = number;
    if (number != s->next || position != position_of(number + 1)) s->wrong = true;
    s->next = number + 1;
    s->count++;
    return 0;
}

static struct journal_options options_for(const char *dir, struct seen *s)
{
    *s = (struct seen){.next = UINT64_MAX};
    return (struct journal_options){
        .dir = dir, .segment_bytes = INSPECTED_SEGMENT, .replay = replay, .arg = s};
}

struct journal *inspected_open(const char *dir, struct seen *s)
{
    struct journal *j;
    struct journal_error e;
    struct journal_options o = options_for(dir, s);
    must(journal_open(&o, &e, &j) == 0);
    return j;
}

void inspected_append(struct journal *j, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++) {
        struct buf *b = journal_begin(j);
        char *at = buf_reserve(b, INSPECTED_RECORD);
        memset(at, '.', INSPECTED_RECORD);
        snprintf(at, INSPECTED_RECORD, "%llu", (unsigned long long)i);
        b->len += INSPECTED_RECORD;
        journal_end(j);
        if (i % 4 == 3) must(journal_wait(j, journal_head(j)) == 0);
    }
    must(journal_wait(j, journal_head(j)) == 0);
}

void inspected_snapshot(const char *dir, uint64_t history, uint64_t position, uint64_t complete,
                        size_t length)
{
    struct snapshot_options o = {.dir = dir};
    struct snapshot_writer *w;
    struct snapshot_result result;
    o.header.history = history;
    o.header.position = position;
    must(snapshot_begin(&o, &w) == 0);
    for (int i = 0; i < 5; i++) {
        struct buf *b = snapshot_record(w);
        buf_printf(b, "record %d", i);
        memset(buf_reserve(b, length), 'x', length);
        b->len += length;
        snapshot_record_end(w);
    }
    snapshot_complete(w, complete);
    while (snapshot_state(w) == SNAPSHOT_WRITING) {
    }
    snapshot_end(w, &result);
    must(result.state == SNAPSHOT_DONE);
}

void inspected_make(const char *dir, uint64_t snapshot)
{
    struct seen s;
    struct journal *j = inspected_open(dir, &s);
    uint64_t position = position_of(snapshot);
    inspected_append(j, 0, INSPECTED_RECORDS);
    if (snapshot > 0) inspected_snapshot(dir, journal_history(j), position, position, 0);
    journal_close(j);
}

int inspected_start(const char *dir, struct seen *s)
{
    struct journal *j = NULL;
    struct journal_error e = {0};
    struct journal_from from = {0};
    uint64_t positions[4];
    struct journal_options o = options_for(dir, s);
    int n = snapshot_list(NULL, dir, positions, 4);
    for (int i = 0; i < n && from.history == 0; i++) {
        struct snapshot_info info;
        struct snapshot_reading how = {.dir = dir};
        if (snapshot_read(&how, positions[i], &info, &e) == 0)
            from = (struct journal_from){info.header.history, positions[i], info.end.complete};
    }
    int r = journal_new(&o, &e, &j);
    if (r == 0) r = journal_start(j, from.history != 0 ? &from : NULL, &e);
    if (r == 0 && s->next == UINT64_MAX) s->first = s->next = journal_head(j) / position_of(1);
    journal_close(j);
    return r;
}

void inspect_or_fail(struct inspection *in, const char *dir)
{
    struct journal_error e = {0};
    inspect_init(in, NULL, dir);
    if (inspect_dir(in, &e) < 0) fail_msg("%s", e.text);
}

void check_whole(const char *dir)
{
    struct inspection in;
    inspect_or_fail(&in, dir);
    if (in.finding_count > 0)
        fail_msg("%s, %llu: %s", in.findings[0].file, (unsigned long long)in.findings[0].offset,
                 in.findings[0].what);
    inspect_fini(&in);
}

void flip(const char *dir, const char *name, size_t at)
{
    struct buf file = file_load(dir, name);
    file.data[at] ^= 4;
    file_store(dir, name, buf_bytes(&file));
    buf_fini(&file);
}

static ssize_t read_bad(void *ctx, int fd, void *data, size_t n, uint64_t offset)
{
    struct bad_disk *d = ctx;
    uint64_t size, allocated;
    must(file_layer_real.measure(NULL, fd, &size, &allocated) == 0);
    if (size == d->size && offset <= d->at && d->at < offset + n) return -EIO;
    return file_layer_real.pread(NULL, fd, data, n, offset);
}

void bad_disk_init(struct bad_disk *d, uint64_t size, uint64_t at)
{
    *d = (struct bad_disk){.layer = file_layer_real, .size = size, .at = at};
    d->layer.ctx = d;
    d->layer.pread = read_bad;
}
