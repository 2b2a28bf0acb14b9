/* A small log in memory, harmed in every way, stored and opened again: the start either refuses and
 * names the right place, or recovers the right prefix and reports the torn tail. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/crc.h"
#include "base/must.h"
#include "base/rand.h"
#include "log/format.h"
#include "log/journal_testing.h"
#include "log/segment.h"

enum { SEGMENT = 12288, FILES_MAX = 8, BATCHES_MAX = 100 };

struct known_batch {
    int file;
    uint64_t offset, size, position, length, records_before;
    uint32_t records;
};

struct known_log {
    struct tale tale;
    char *dir; /* where it is stored again and again */
    int files; /* in use; numbered from 1 */
    char names[FILES_MAX][SEGMENT_NAME_MAX];
    struct buf content[FILES_MAX];
    struct known_batch batches[BATCHES_MAX];
    int count;
};

static struct journal_options options_for(const char *dir)
{
    return (struct journal_options){.dir = dir, .segment_bytes = SEGMENT};
}

/* Reads the batches without the code under test (but for the format's). */
static void learn_batches(struct known_log *log)
{
    uint64_t records = 0;
    log->count = 0;
    for (int i = 0; i < log->files; i++) {
        uint64_t at = SEGMENT_HEADER;
        struct batch_header b;
        while (at + BATCH_HEADER <= log->content[i].len &&
               batch_header_decode(log->content[i].data + at, log->content[i].len - at, &b)) {
            must(batch_is_whole(log->content[i].data + at, &b) && log->count < BATCHES_MAX);
            log->batches[log->count++] = (struct known_batch){
                i, at, batch_size(b.length), b.position, b.length, records, b.records};
            records += b.records;
            at += batch_size(b.length);
        }
    }
}

static void write_log(const char *dir, const struct file_layer *files, struct tale *t, bool marked)
{
    struct journal_options o = options_for(dir);
    struct journal_error e;
    struct journal *j;
    struct tale fresh;
    o.files = files;
    tale_init(&fresh, t->seed, t->length_max);
    must(tale_open(&fresh, o, &e, &j) == 0);
    for (int i = 0; i < 24; i++) {
        /* Some turns are large, so that there are several segments. */
        tale_append(t, j, i % 8 == 5 ? 80 : 1 + i % 3);
        must(journal_wait(j, journal_head(j)) == 0);
    }
    if (!marked) file_fault_note((struct file_fault *)files->ctx, 1);
    journal_close(j);
    tale_fini(&fresh);
}

static size_t find_note(const struct file_fault *f, const char *dir, const char *scratch)
{
    for (size_t ops = 0; ops <= f->op_count; ops++) {
        if (file_fault_crash((struct file_fault *)f, ops, LOSS_ALL, 1, scratch) > 0) return ops;
        scratch_clear(scratch);
    }
    return f->op_count;
}

/* The log as it stands after the last batch of records, or with the marker of a clean stop. */
static void log_init(struct known_log *log, bool marked)
{
    char *dir = scratch_new();
    log->dir = scratch_new();
    do {
        struct file_fault f;
        *log = (struct known_log){.dir = log->dir};
        tale_init(&log->tale, 11, 120);
        scratch_clear(dir);
        file_fault_init(&f);
        file_fault_record(&f, dir, true);
        write_log(dir, &f.layer, &log->tale, marked);
        if (!marked) {
            size_t ops = find_note(&f, dir, log->dir);
            scratch_clear(dir);
            file_fault_crash(&f, ops, LOSS_NONE, 1, dir);
        }
        file_fault_fini(&f);
        for (; log->files < FILES_MAX; log->files++) {
            char path[256];
            segment_name(log->names[log->files], (uint64_t)log->files + 1);
            snprintf(path, sizeof(path), "%s/%s", dir, log->names[log->files]);
            if (access(path, F_OK) != 0) break;
            struct buf content = file_load(dir, log->names[log->files]);
            if (bytes_are_zero(content.data, SEGMENT_HEADER)) {
                buf_fini(&content);
                break; /* prepared */
            }
            log->content[log->files] = content;
        }
        learn_batches(log);
    } while ((log->batches[log->count - 1].records == 0) != marked);
    must(log->files >= 3 && log->count >= 24);
    scratch_remove(dir);
}

static void log_fini(struct known_log *log)
{
    for (int i = 0; i < log->files; i++) buf_fini(&log->content[i]);
    tale_fini(&log->tale);
    scratch_remove(log->dir);
}

static void store(const struct known_log *log)
{
    scratch_clear(log->dir);
    for (int i = 0; i < log->files; i++)
        file_store(log->dir, log->names[i], buf_bytes(&log->content[i]));
}

struct outcome {
    int64_t records; /* -1 refused */
    unsigned torn;
    struct journal_error error;
};

static struct outcome outcome_of(const struct known_log *log)
{
    struct outcome o = {0};
    o.records = tale_count(&log->tale, options_for(log->dir), &o.error, &o.torn);
    if (o.records == -2) fail_msg("what was replayed is not what was appended");
    return o;
}

static void expect_refusal(const struct outcome *o, const char *file, uint64_t offset)
{
    char place[100];
    snprintf(place, sizeof(place), "%s, offset %" PRIu64 ":", file, offset);
    if (o->records >= 0) fail_msg("accepted %" PRId64 " records; broken at %s", o->records, place);
    assert_int_equal(o->error.code, -EBADMSG);
    if (strstr(o->error.text, place) == NULL) fail_msg("not at %s but: %s", place, o->error.text);
}

static void expect_prefix(const struct outcome *o, uint64_t records, unsigned torn)
{
    if (o->records < 0) fail_msg("refused: %s", o->error.text);
    assert_int_equal(o->records, records);
    assert_int_equal(o->torn, torn);
}

/* The batch that this byte belongs to (the header page to the segment's first), -1 for none. */
static int batch_at(const struct known_log *log, int file, uint64_t offset)
{
    for (int i = 0; i < log->count; i++) {
        const struct known_batch *b = &log->batches[i];
        bool first = i == 0 || log->batches[i - 1].file != file;
        if (b->file == file && offset < b->offset + b->size &&
            (offset >= b->offset || (first && offset < SEGMENT_HEADER)))
            return i;
    }
    return -1;
}

static void check_broken_at(const struct known_log *log, int file, uint64_t offset)
{
    struct outcome o = outcome_of(log);
    int i = batch_at(log, file, offset);
    uint64_t all = log->tale.told;
    if (i < 0) {
        expect_prefix(&o, all, o.torn); /* nobody's byte: nothing is missing */
    } else if (i == log->count - 1) {
        expect_prefix(&o, log->batches[i].records_before, 1);
    } else {
        expect_refusal(&o, log->names[file], offset < SEGMENT_HEADER ? 0 : log->batches[i].offset);
    }
}

static void flip_all(struct known_log *log, uint64_t seed)
{
    struct rng r;
    rng_seed(&r, seed);
    for (int file = 0; file < log->files; file++) {
        char *data = log->content[file].data;
        for (uint64_t at = 0; at < log->content[file].len; at++) {
            /* Every byte of some headers and of the last batches; elsewhere samples. */
            int i = batch_at(log, file, at);
            bool in_header = i >= 0 && at >= SEGMENT_HEADER && at < log->batches[i].offset + 72;
            bool near = at < 64 || i > log->count - 4 || (in_header && i < 2);
            uint64_t every = near && at >= SEGMENT_HEADER ? 1 : near ? 2 : in_header ? 7 : 80;
            if (i < 0) every = 400;
            if (rng_below(&r, every) != 0) continue;
            char mask = (char)(1 << rng_below(&r, 8));
            data[at] ^= mask;
            store(log);
            check_broken_at(log, file, at);
            data[at] ^= mask;
        }
    }
}

static void test_every_byte_flipped(void **state)
{
    for (int marked = 0; marked < 2; marked++) {
        struct known_log log;
        log_init(&log, marked);
        store(&log);
        struct outcome o = outcome_of(&log);
        expect_prefix(&o, log.tale.told, 0);
        flip_all(&log, 5 + (uint64_t)marked);
        log_fini(&log);
    }
}

/* The end lost from every byte on, as by a write that was cut short. */
static void test_torn_at_every_length(void **state)
{
    struct known_log log;
    log_init(&log, true);
    int last = log.files - 1;
    struct buf *content = &log.content[last];
    uint64_t end = log.batches[log.count - 1].offset + BATCH_HEADER;
    for (uint64_t cut = end; cut-- > SEGMENT_HEADER;) {
        memset(content->data + cut, 0, end - cut);
        int i = batch_at(&log, last, cut);
        bool partly = cut > log.batches[i].offset;
        uint64_t inside = cut - log.batches[i].offset;
        if (inside > 72 && inside < log.batches[i].size - 10 && cut % 37 != 0) continue;
        store(&log);
        struct outcome o = outcome_of(&log);
        /* The last byte of a batch may have been a zero of its padding. */
        if (o.records == (int64_t)(log.batches[i].records_before + log.batches[i].records) &&
            log.batches[i].records > 0) {
            assert_true(cut + BATCH_ALIGN > log.batches[i].offset + log.batches[i].size);
            continue;
        }
        expect_prefix(&o, log.batches[i].records_before,
                      partly && !(log.batches[i].records == 0 && o.torn == 0));
    }
    log_fini(&log);
}

/* A file that is shorter than it was made. */
static void test_cut_at_every_length(void **state)
{
    struct known_log log;
    log_init(&log, true);
    for (int file = 0; file < log.files; file++) {
        struct buf *content = &log.content[file];
        size_t whole = content->len;
        /* Each length around the places where something changes, samples elsewhere. */
        for (content->len = 0; content->len < whole;
             content->len += content->len % SEGMENT_HEADER < 70 ? 1 : 67) {
            store(&log);
            struct outcome o = outcome_of(&log);
            expect_refusal(&o, log.names[file], content->len);
        }
        content->len = whole;
    }
    log_fini(&log);
}

static void test_missing_segments(void **state)
{
    struct known_log log;
    log_init(&log, true);
    for (int file = 0; file + 1 < log.files; file++) {
        char path[256];
        store(&log);
        snprintf(path, sizeof(path), "%s/%s", log.dir, log.names[file]);
        assert_int_equal(unlink(path), 0);
        struct outcome o = outcome_of(&log);
        assert_int_equal(o.records, -1);
        assert_int_equal(o.error.code, -EBADMSG);
    }
    log_fini(&log);
}

/* After a cut the journal goes on, and what was cut never comes back. */
static void test_life_after_torn(void **state)
{
    struct known_log log;
    log_init(&log, false);
    struct known_batch *lost = &log.batches[log.count - 1];
    log.content[lost->file].data[lost->offset + 70] ^= 1;
    store(&log);

    struct outcome o = outcome_of(&log);
    expect_prefix(&o, lost->records_before, 1);

    struct tale t;
    struct journal *j;
    struct journal_error e;
    tale_init(&t, log.tale.seed, log.tale.length_max);
    assert_int_equal(tale_open(&t, options_for(log.dir), &e, &j), 0);
    assert_int_equal(t.told, lost->records_before);
    assert_int_equal(t.torn, 0);
    tale_append(&t, j, 3);
    assert_int_equal(journal_wait(j, journal_head(j)), 0);
    journal_close(j);

    char saved[64];
    snprintf(saved, sizeof(saved), "torn-%" PRIu64 ".bin", lost->position);
    struct buf content = file_load(log.dir, saved);
    assert_true(content.len > BATCH_HEADER && content.len <= lost->size);
    assert_memory_equal(content.data, log.content[lost->file].data + lost->offset, content.len);
    buf_fini(&content);

    unsigned torn;
    assert_int_equal(tale_count(&log.tale, options_for(log.dir), &e, &torn), t.told);
    assert_int_equal(torn, 0);
    tale_fini(&t);
    log_fini(&log);
}

/* A whole batch that stands in the wrong place is not read. */
static void test_batch_out_of_place(void **state)
{
    struct known_log log;
    log_init(&log, true);
    struct known_batch *end = &log.batches[log.count - 1];
    struct known_batch *old = &log.batches[log.count - 3];
    assert_int_equal(old->file, end->file);
    char *data = log.content[end->file].data;
    memcpy(data + end->offset + end->size, data + old->offset, old->size);
    store(&log);
    struct outcome o = outcome_of(&log);
    expect_prefix(&o, log.tale.told, 1);
    log_fini(&log);
}

/* A whole batch of another journal, or of another life of the file, is none of ours. */
static void test_foreign_batch(void **state)
{
    static const int fields[] = {8, 16}; /* history, epoch */
    struct known_log log;
    log_init(&log, false);
    struct known_batch *end = &log.batches[log.count - 1];
    char *p = log.content[end->file].data + end->offset;
    for (int i = 0; i < 2; i++) {
        p[fields[i]] ^= 1;
        store_u32(p + 4, crc32c(0, p + 8, end->size - 8));
        store(&log);
        struct outcome o = outcome_of(&log);
        expect_prefix(&o, end->records_before, 1);
        p[fields[i]] ^= 1;
    }
    log_fini(&log);
}

static void seal_header(char *page)
{
    store_u32(page + 8, crc32c(0, page + 12, SEGMENT_HEADER - 12));
}

static void test_newer_version(void **state)
{
    struct known_log log;
    log_init(&log, true);
    store_u32(log.content[1].data + 12, FORMAT_VERSION + 6);
    seal_header(log.content[1].data);
    store(&log);
    struct outcome o = outcome_of(&log);
    assert_int_equal(o.records, -1);
    assert_int_equal(o.error.code, -EPROTONOSUPPORT);
    assert_non_null(strstr(o.error.text, "version 8"));
    assert_non_null(strstr(o.error.text, "up to 2"));
    log_fini(&log);
}

static void test_foreign_segment(void **state)
{
    struct known_log log;
    log_init(&log, true);
    log.content[1].data[16] ^= 1; /* history */
    seal_header(log.content[1].data);
    store(&log);
    struct outcome o = outcome_of(&log);
    expect_refusal(&o, log.names[1], 16);
    log_fini(&log);
}

/* Random harm, several kinds at once: never a crash, never anything but a prefix. */
static void harm(struct known_log *log, struct rng *r)
{
    struct buf *c = &log->content[rng_below(r, (uint64_t)log->files)];
    uint64_t at = rng_below(r, c->len), to = rng_below(r, c->len);
    uint64_t n = rng_below(r, 300), room = c->len - (at > to ? at : to);
    if (n > room) n = room;
    switch (rng_below(r, 5)) {
    case 0:
        c->data[at] ^= (char)(1 + rng_below(r, 255));
        break;
    case 1:
        memset(c->data + at, 0, n);
        break;
    case 2:
        memset(c->data + at, (int)rng_below(r, 256), n);
        break;
    case 3:
        memmove(c->data + to, c->data + at, n);
        break;
    default: /* a whole batch somewhere else */
    {
        const struct known_batch *b = &log->batches[rng_below(r, (uint64_t)log->count)];
        to &= ~(uint64_t)7;
        if (to + b->size <= c->len)
            memmove(c->data + to, log->content[b->file].data + b->offset, b->size);
    }
    }
}

static void test_random_harm(void **state)
{
    struct known_log log;
    log_init(&log, true);
    struct rng r;
    uint64_t seed = 20240611;
    rng_seed(&r, seed);
    struct buf whole[FILES_MAX] = {0};
    for (int i = 0; i < log.files; i++) buf_put(&whole[i], buf_bytes(&log.content[i]));
    for (int round = 0; round < 400; round++) {
        for (int i = 0; i < log.files; i++)
            memcpy(log.content[i].data, whole[i].data, whole[i].len);
        for (uint64_t n = 1 + rng_below(&r, 4); n > 0; n--) harm(&log, &r);
        store(&log);
        struct outcome o = outcome_of(&log);
        assert_true(o.records >= -1 && o.records <= (int64_t)log.tale.told);
        if (o.records >= 0 && o.records < (int64_t)log.tale.told) assert_true(o.torn > 0);
    }
    for (int i = 0; i < log.files; i++) buf_fini(&whole[i]);
    log_fini(&log);
}

static int refuse_record(void *arg, struct bytes record, uint64_t position)
{
    return -EINVAL;
}

static void test_record_not_understood(void **state)
{
    struct known_log log;
    log_init(&log, true);
    store(&log);
    struct journal_options o = options_for(log.dir);
    struct journal_error e;
    struct journal *j = NULL;
    o.replay = refuse_record;
    assert_int_equal(journal_open(&o, &e, &j), -EINVAL);
    assert_non_null(strstr(e.text, "journal-000000000001.log, offset 4096"));
    log_fini(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte_flipped),    cmocka_unit_test(test_torn_at_every_length),
        cmocka_unit_test(test_cut_at_every_length),   cmocka_unit_test(test_missing_segments),
        cmocka_unit_test(test_life_after_torn),       cmocka_unit_test(test_batch_out_of_place),
        cmocka_unit_test(test_newer_version),         cmocka_unit_test(test_foreign_segment),
        cmocka_unit_test(test_foreign_batch),         cmocka_unit_test(test_random_harm),
        cmocka_unit_test(test_record_not_understood),
    };
    return cmocka_run_group_tests_name("log/recovery", tests, NULL, NULL);
}
