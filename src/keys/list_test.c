/* The list against a naive one, an array of texts: the same seeded random operations, on lists of
 * one node and of many, with elements from none to more bytes than a node holds. */
#include "keys/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

enum { ELEMENTS_MAX = 30000, TEXT_BYTES_MAX = 40000 };

struct model {
    struct bytes *items;
    size_t count;
};

static struct rng rng;
static char room[TEXT_BYTES_MAX];

/* ---- The naive list ---- */

static void model_insert(struct model *m, size_t index, struct bytes value)
{
    assert_true(m->count < ELEMENTS_MAX);
    memmove(m->items + index + 1, m->items + index, (m->count - index) * sizeof *m->items);
    m->items[index] = (struct bytes){mem_dup(value.data, value.len), value.len};
    m->count++;
}

static void model_remove(struct model *m, size_t index)
{
    mem_free((void *)(uintptr_t)m->items[index].data);
    m->count--;
    memmove(m->items + index, m->items + index + 1, (m->count - index) * sizeof *m->items);
}

static size_t model_remove_equal(struct model *m, enum list_end from, struct bytes value,
                                 size_t max)
{
    size_t removed = 0;
    for (size_t i = 0; i < m->count && removed < max;) {
        size_t at = from == LIST_HEAD ? i : m->count - 1 - i;
        if (!bytes_eq(m->items[at], value)) {
            i++;
            continue;
        }
        model_remove(m, at);
        removed++;
    }
    return removed;
}

static size_t bytes_in(const struct model *m)
{
    size_t sum = 0;
    for (size_t i = 0; i < m->count; i++) sum += list_frame_bytes(m->items[i].len);
    return sum;
}

/* ---- Values ---- */

enum sizes { SMALL, MIXED, LONG };

/* Few different ones, so that some are equal; some empty; long ones beside the sizes at which their
 * length takes another byte, or at which they need a node of their own. */
static struct bytes make_value(enum sizes sizes)
{
    static const size_t edges[] = {0,    126,  127,  128,  129,   3000,  4000,
                                   8155, 8156, 8157, 8192, 16383, 16384, 39999};
    size_t len = (size_t)snprintf(room, sizeof room, "%u", (unsigned)rng_below(&rng, 12));
    if (sizes == MIXED && rng_below(&rng, 4) == 0) len = 40 + rng_below(&rng, 600);
    if (sizes != SMALL && rng_below(&rng, sizes == LONG ? 2 : 50) == 0)
        len = edges[rng_below(&rng, sizeof edges / sizeof *edges)];
    memset(room + 2, (int)('a' + rng_below(&rng, 2)), len > 2 ? len - 2 : 0);
    return (struct bytes){room, len};
}

/* ---- Comparing ---- */

static void check_walk(const struct key *k, const struct model *m, size_t index, enum list_end from)
{
    struct list_iter it;
    struct bytes element;
    size_t n = 0;
    list_iter_init(&it, k, index, from);
    for (; list_iter_next(&it, &element); n++)
        assert_true(bytes_eq(element, m->items[from == LIST_HEAD ? index + n : index - n]));
    if (index >= m->count) assert_int_equal(n, 0);
    else assert_int_equal(n, from == LIST_HEAD ? m->count - index : index + 1);
}

static void check_nodes(const struct key *k)
{
    const struct list *l = k->value.list;
    const struct list_node *before = NULL;
    size_t count = 0, bytes = 0, nodes = 0;
    for (const struct list_node *n = l->first; n != NULL; before = n, n = n->next) {
        assert_ptr_equal(n->prev, before);
        assert_true(n->count > 0 && n->start < n->end && n->end <= n->cap);
        assert_true(n->count == 1 || list_node_used(n) <= LIST_NODE_BYTES);
        count += n->count;
        bytes += list_node_used(n);
        nodes++;
    }
    assert_ptr_equal(l->last, before);
    assert_int_equal(l->count, count);
    assert_int_equal(l->bytes, bytes);
    assert_int_equal(l->node_count, nodes);
}

static void check_same(const struct key *k, const struct model *m)
{
    check_nodes(k);
    assert_int_equal(list_count(k), m->count);
    assert_int_equal(k->value.list->bytes, bytes_in(m));
    check_walk(k, m, 0, LIST_HEAD);
    if (m->count == 0) return;
    check_walk(k, m, m->count - 1, LIST_TAIL);
    check_walk(k, m, rng_below(&rng, m->count), LIST_HEAD);
    check_walk(k, m, rng_below(&rng, m->count), LIST_TAIL);
    assert_true(bytes_eq(list_peek(k, LIST_HEAD), m->items[0]));
    assert_true(bytes_eq(list_peek(k, LIST_TAIL), m->items[m->count - 1]));
    size_t index = rng_below(&rng, m->count);
    assert_true(bytes_eq(list_get(k, index), m->items[index]));
}

/* ---- One random operation on both ---- */

static void drop(struct key *k, struct model *m)
{
    enum list_end end = (enum list_end)rng_below(&rng, 2);
    size_t n = rng_below(&rng, rng_below(&rng, 10) == 0 ? m->count + 1 : m->count / 8 + 2);
    if (n > m->count) n = m->count;
    list_drop(k, end, n, LIST_LIMIT_DEFAULT);
    for (; n > 0; n--) model_remove(m, end == LIST_HEAD ? 0 : m->count - 1);
}

static void remove_equal(struct key *k, struct model *m, enum sizes sizes)
{
    enum list_end from = (enum list_end)rng_below(&rng, 2);
    size_t max = rng_below(&rng, 3) == 0 ? SIZE_MAX : rng_below(&rng, 40);
    struct bytes value = make_value(sizes);
    assert_int_equal(list_remove(k, from, value, max, LIST_LIMIT_DEFAULT),
                     model_remove_equal(m, from, value, max));
}

static void push(struct key *k, struct model *m, enum sizes sizes)
{
    enum list_end end = (enum list_end)rng_below(&rng, 2);
    for (uint64_t n = rng_below(&rng, sizes == SMALL ? 400 : 20); n > 0; n--) {
        struct bytes value = make_value(sizes);
        list_push(k, end, value, LIST_LIMIT_DEFAULT);
        model_insert(m, end == LIST_HEAD ? 0 : m->count, value);
    }
}

/* The last becomes the first, as LMOVE does it. */
static void rotate(struct key *k, struct model *m)
{
    enum list_end from = (enum list_end)rng_below(&rng, 2),
                  to = from == LIST_HEAD ? LIST_TAIL : LIST_HEAD;
    list_push(k, to, list_peek(k, from), LIST_LIMIT_DEFAULT);
    list_drop(k, from, 1, LIST_LIMIT_DEFAULT);
    size_t at = from == LIST_HEAD ? 0 : m->count - 1;
    struct bytes moved = m->items[at];
    model_insert(m, to == LIST_HEAD ? 0 : m->count, moved);
    model_remove(m, to == LIST_HEAD ? at + 1 : at);
}

static void change(struct key *k, struct model *m, enum sizes sizes)
{
    uint64_t what = rng_below(&rng, 16);
    if (what < 4 && m->count < ELEMENTS_MAX / 2) {
        push(k, m, sizes);
    } else if (what < 7) {
        drop(k, m);
    } else if (what < 8) {
        remove_equal(k, m, sizes);
    } else if (what < 12) {
        size_t index = rng_below(&rng, m->count + 1);
        struct bytes value = make_value(sizes);
        list_insert(k, index, value, LIST_LIMIT_DEFAULT);
        model_insert(m, index, value);
    } else if (m->count > 0 && what < 15) {
        size_t index = rng_below(&rng, m->count);
        struct bytes value = make_value(sizes);
        list_set(k, index, value, LIST_LIMIT_DEFAULT);
        model_remove(m, index);
        model_insert(m, index, value);
    } else if (m->count > 0) {
        rotate(k, m);
    }
}

/* ---- Keys without a keyspace ---- */

static struct key *new_list(void)
{
    struct key *k = mem_calloc(sizeof *k);
    k->type = KEY_LIST;
    list_init(k);
    return k;
}

static void free_list(struct key *k)
{
    list_ops.free(k);
    mem_free(k);
}

static struct key *copy_of(const struct key *k)
{
    struct key *to = mem_calloc(sizeof *to);
    to->type = KEY_LIST;
    list_ops.copy(to, k);
    return to;
}

static void run_model(enum sizes sizes, int steps)
{
    struct key *k = new_list();
    struct model m = {.items = mem_calloc(ELEMENTS_MAX * sizeof *m.items)};
    for (int i = 0; i < steps; i++) {
        change(k, &m, sizes);
        if (i % 4 == 0) check_same(k, &m);
        if (i % 100 == 50) {
            struct key *copy = copy_of(k);
            assert_int_equal(copy->encoding, k->encoding);
            free_list(k);
            k = copy;
            check_same(k, &m);
        }
    }
    assert_true(list_ops.memory(k, 0) > bytes_in(&m));
    assert_true(list_ops.memory(k, 1) > 0);
    assert_int_equal(list_ops.weight(k), k->value.list->node_count);
    while (m.count > 0) model_remove(&m, m.count - 1);
    mem_free(m.items);
    free_list(k);
}

static void test_small(void **state)
{
    for (int i = 0; i < 8; i++) run_model(SMALL, 300);
}

static void test_mixed(void **state)
{
    for (int i = 0; i < 8; i++) run_model(MIXED, 400);
}

static void test_long(void **state)
{
    for (int i = 0; i < 8; i++) run_model(LONG, 200);
}

/* A queue that is pushed to at one end and popped from at the other never takes more than it must.
 */
static void test_queue(void **state)
{
    for (int way = 0; way < 2; way++) {
        struct key *k = new_list();
        enum list_end in = way == 0 ? LIST_HEAD : LIST_TAIL, out = way == 0 ? LIST_TAIL : LIST_HEAD;
        char text[16];
        for (unsigned i = 0, next = 0; i < 20000; i++) {
            size_t len = (size_t)snprintf(text, sizeof text, "job %u", i);
            list_push(k, in, (struct bytes){text, len}, LIST_LIMIT_DEFAULT);
            if (i < 100) continue;
            len = (size_t)snprintf(text, sizeof text, "job %u", next++);
            assert_true(bytes_eq(list_peek(k, out), (struct bytes){text, len}));
            list_drop(k, out, 1, LIST_LIMIT_DEFAULT);
        }
        check_nodes(k);
        assert_true(k->value.list->node_count <= 2);
        assert_true(list_ops.memory(k, 0) < 3 * LIST_NODE_BYTES);
        list_drop(k, out, list_count(k) - 1, LIST_LIMIT_DEFAULT);
        assert_true(list_ops.memory(k, 0) < 1000); /* the room is given back */
        free_list(k);
    }
}

/* What is pushed fills its nodes, whichever the end; what is removed here and there does not leave
 * a node for every few elements. */
static void test_density(void **state)
{
    for (int way = 0; way < 2; way++) {
        struct key *k = new_list();
        for (unsigned i = 0; i < 50000; i++)
            list_push(k, (enum list_end)way, i % 50 ? BYTES("0123456789") : BYTES("keep"),
                      LIST_LIMIT_DEFAULT);
        size_t used = k->value.list->bytes;
        assert_true(k->value.list->node_count <= used / LIST_NODE_BYTES + 2);
        assert_true(list_ops.memory(k, 0) < used + used / 20);
        list_remove(k, (enum list_end)way, BYTES("0123456789"), SIZE_MAX, LIST_LIMIT_DEFAULT);
        check_nodes(k);
        assert_int_equal(list_count(k), 1000);
        assert_true(k->value.list->node_count <= 4);
        free_list(k);
    }
}

static void fill(struct key *k, size_t count, struct bytes value, int64_t limit)
{
    while (count-- > 0) list_push(k, LIST_TAIL, value, limit);
}

/* Redis 7.2: a quicklist when it outgrows the limit, a listpack again at half of it. */
static void check_limit(int64_t limit, struct bytes value, size_t most)
{
    struct key *k = new_list();
    fill(k, most, value, limit);
    assert_int_equal(k->encoding, ENC_LISTPACK);
    list_push(k, LIST_HEAD, value, limit);
    assert_int_equal(k->encoding, ENC_QUICKLIST);
    list_drop(k, LIST_TAIL, most - most / 2, limit);
    assert_int_equal(k->encoding, ENC_QUICKLIST);
    list_drop(k, LIST_TAIL, 1, limit);
    assert_int_equal(k->encoding, ENC_LISTPACK);
    list_make_room(k, &value, 1, limit);
    assert_int_equal(k->encoding, ENC_LISTPACK);
    free_list(k);
}

static void test_encoding(void **state)
{
    struct bytes hundred = {room, 98}; /* with its lengths */
    memset(room, 'x', sizeof room);
    check_limit(4, BYTES("a"), 4);
    check_limit(-1, hundred, 40);
    check_limit(-2, hundred, 81);
    check_limit(-3, hundred, 163);
    check_limit(-5, hundred, 655);
    check_limit(-9, hundred, 655);
    check_limit(1000000, hundred, 81);
    struct key *k = new_list();
    list_make_room(k, &(struct bytes){room, 9000}, 1, -2);
    assert_int_equal(k->encoding, ENC_QUICKLIST);
    list_push(k, LIST_HEAD, BYTES("x"), -2);
    list_set(k, 0, BYTES("yy"), -2);
    assert_int_equal(k->encoding, ENC_QUICKLIST); /* it has grown */
    list_set(k, 0, BYTES("z"), -2);
    assert_int_equal(k->encoding, ENC_LISTPACK);
    list_set(k, 0, (struct bytes){room, 9000}, -2);
    assert_int_equal(k->encoding, ENC_QUICKLIST);
    list_set(k, 0, BYTES(""), 0);
    assert_int_equal(k->encoding, ENC_QUICKLIST); /* one element, of which half is none */
    free_list(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),   cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_long),    cmocka_unit_test(test_queue),
        cmocka_unit_test(test_density), cmocka_unit_test(test_encoding),
    };
    rng_seed(&rng, 7);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
