/* String values against a plain run of bytes, and the encodings that OBJECT ENCODING tells. */
#include "keys/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rand.h"

static struct rng rng;

static const struct key new_key = {
    .type = KEY_STRING, .encoding = ENC_EMBSTR, .expire_at_ms = KEY_NEVER};

static void check(const struct key *k, const struct buf *model)
{
    char scratch[STR_INT_TEXT_MAX + 1];
    struct bytes got = str_get(k, scratch);
    assert_int_equal(got.len, model->len);
    assert_int_equal(str_len(k), model->len);
    if (got.len > 0) assert_memory_equal(got.data, model->data, got.len);
}

static void assert_set(const char *text, enum key_encoding encoding)
{
    struct key k = new_key;
    struct buf model = {0};
    buf_put(&model, bytes_of(text));
    str_set(&k, bytes_of(text));
    assert_int_equal(k.encoding, encoding);
    check(&k, &model);
    str_ops.free(&k);
    buf_fini(&model);
}

static void test_encodings(void **state)
{
    assert_set("0", ENC_INT);
    assert_set("-1", ENC_INT);
    assert_set("9223372036854775807", ENC_INT);
    assert_set("-9223372036854775808", ENC_INT);
    assert_set("9223372036854775808", ENC_EMBSTR);
    assert_set("01", ENC_EMBSTR);
    assert_set("+1", ENC_EMBSTR);
    assert_set(" 1", ENC_EMBSTR);
    assert_set("-0", ENC_EMBSTR);
    assert_set("", ENC_EMBSTR);
    assert_set("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", ENC_EMBSTR); /* 44 */
    assert_set("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", ENC_RAW);
}

static void test_integer(void **state)
{
    struct key k = new_key;
    int64_t n = 7;
    str_set(&k, BYTES("12"));
    assert_true(str_get_integer(&k, &n));
    assert_int_equal(n, 12);
    str_set_text(&k, BYTES("13"));
    assert_int_equal(k.encoding, ENC_EMBSTR);
    assert_true(str_get_integer(&k, &n));
    assert_int_equal(n, 13);
    str_set(&k, BYTES("1.5"));
    assert_false(str_get_integer(&k, &n));
    str_set_integer(&k, -4);
    assert_true(str_get_integer(&k, &n));
    assert_int_equal(n, -4);
    str_ops.free(&k);
}

static void write_model(struct buf *model, size_t offset, struct bytes value)
{
    while (model->len < offset + value.len) buf_putc(model, '\0');
    if (value.len > 0) memcpy(model->data + offset, value.data, value.len);
}

static void test_model(void **state)
{
    struct key k = new_key;
    struct buf model = {0};
    char room[300];
    str_set(&k, BYTES(""));
    for (int step = 0; step < 20000; step++) {
        size_t n = rng_below(&rng, step % 10 ? 8 : sizeof room);
        for (size_t i = 0; i < n; i++) room[i] = (char)('0' + rng_below(&rng, 3));
        struct bytes value = {room, n};
        switch (rng_below(&rng, 8)) {
        case 0:
            str_set(&k, value);
            model.len = 0;
            buf_put(&model, value);
            break;
        case 1: {
            size_t offset = rng_below(&rng, model.len + 20);
            str_write(&k, offset, value);
            write_model(&model, offset, value);
            break;
        }
        case 2: {
            struct key copy = new_key;
            str_ops.copy(&copy, &k);
            str_ops.free(&k);
            k = copy;
            break;
        }
        default:
            str_write(&k, model.len, value);
            buf_put(&model, value);
        }
        if (model.len > 5000) {
            str_set(&k, BYTES("7"));
            model.len = 0;
            buf_put(&model, BYTES("7"));
        }
        check(&k, &model);
    }
    str_ops.free(&k);
    buf_fini(&model);
}

/* Appending byte by byte copies the whole a few times only. */
static void test_append_grows(void **state)
{
    struct key k = new_key;
    size_t before = 0, moves = 0;
    str_set(&k, BYTES(""));
    for (size_t i = 0; i < 100000; i++) {
        str_write(&k, i, BYTES("x"));
        moves += mem_size(k.value.str) != before;
        before = mem_size(k.value.str);
    }
    assert_true(moves < 40);
    str_ops.free(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_integer),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_append_grows),
    };
    rng_seed(&rng, 4);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
