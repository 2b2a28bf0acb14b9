/* The index of patterns against trying them all, under seeded random patterns and channels; and how
 * many it tries where there are 20,000. */
#include "hub/patterns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"

enum { PATTERNS = 300, TEXT_MAX = 24, MANY = 20000 };

static struct rng rng;

struct item {
    struct pattern pattern;
    bool added, seen;
    char text[64 + 256];
};

static size_t random_text(char *to, const char *letters, size_t max)
{
    size_t n = rng_below(&rng, max), count = strlen(letters);
    for (size_t i = 0; i < n; i++) to[i] = letters[rng_below(&rng, count)];
    return n;
}

static void draw(struct item *it)
{
    size_t n = 0;
    static const char letters[] = "aab.", wild[] = "ab*?[]^-\\a.";
    if (rng_below(&rng, 20) == 0) /* longer than what is looked at */
        while (n < 250) it->text[n++] = 'a';
    n += random_text(it->text + n, letters, 6);
    n += random_text(it->text + n, wild, rng_below(&rng, 3) ? 3 : 8);
    n += random_text(it->text + n, letters, 6);
    n += random_text(it->text + n, wild, 3);
    if (rng_below(&rng, 2)) n += random_text(it->text + n, letters, 30);
    it->pattern.text = (struct bytes){it->text, n};
}

static bool is_there(const struct item *items, struct bytes text)
{
    for (size_t i = 0; i < PATTERNS; i++)
        if (items[i].added && bytes_eq(items[i].pattern.text, text)) return true;
    return false;
}

static void check(struct pattern_index *ix, struct item *items, struct bytes channel)
{
    struct pattern **found;
    size_t n = pattern_match(ix, channel, &found), expected = 0;
    for (size_t i = 0; i < PATTERNS; i++) {
        items[i].seen = false;
        expected += items[i].added && bytes_match_glob(items[i].pattern.text, channel, false);
    }
    assert_int_equal(n, expected);
    for (size_t i = 0; i < n; i++) {
        struct item *it = (struct item *)found[i];
        assert_true(it->added && !it->seen && bytes_match_glob(it->pattern.text, channel, false));
        it->seen = true;
    }
}

static void test_model(void **state)
{
    struct item *items = mem_calloc(PATTERNS * sizeof *items);
    struct pattern_index *ix = pattern_index_new();
    char channel[TEXT_MAX + 320];
    for (int step = 0; step < 60000; step++) {
        struct item *it = &items[rng_below(&rng, PATTERNS)];
        switch (rng_below(&rng, 4)) {
        case 0:
            if (it->added) pattern_remove(ix, &it->pattern);
            it->added = false;
            if (rng_below(&rng, 10) < 2) break;
            draw(it);
            if (is_there(items, it->pattern.text)) break;
            pattern_add(ix, &it->pattern);
            it->added = true;
            break;
        case 1: /* the text of a pattern, perhaps with more */
            if (!it->added) break;
            memcpy(channel, it->text, it->pattern.text.len);
            size_t n = it->pattern.text.len + random_text(channel + it->pattern.text.len, "ab.", 3);
            check(ix, items, (struct bytes){channel, n});
            break;
        default:
            check(ix, items, (struct bytes){channel, random_text(channel, "aab.*[\\", TEXT_MAX)});
        }
    }
    for (size_t i = 0; i < PATTERNS; i++)
        if (items[i].added) pattern_remove(ix, &items[i].pattern);
    pattern_index_free(ix);
    mem_free(items);
}

/* The form with its '#' replaced by a number. */
static void fill(char *to, size_t max, const char *form, int n)
{
    int before = (int)strcspn(form, "#");
    snprintf(to, max, "%.*s%d%s", before, form, n, form + before + 1);
}

/* However the literals lie in them. */
static void test_many(void **state)
{
    static const char *const forms[] = {
        "news.#.*", "*.news.#", "user:*:#:name", "*:#:*", "[ab]:#-item?*", "same.*.#.same", "?#*"};
    struct item *items = mem_calloc(MANY * sizeof *items);
    struct pattern **found;
    for (size_t form = 0; form < sizeof forms / sizeof *forms; form++) {
        struct pattern_index *ix = pattern_index_new();
        for (int i = 0; i < MANY; i++) {
            fill(items[i].text, sizeof items[i].text, forms[form], 100000 + i * 37);
            items[i].pattern.text = bytes_of(items[i].text);
            pattern_add(ix, &items[i].pattern);
        }
        char channel[64];
        size_t n = 0;
        fill(channel, sizeof channel, forms[form], 100000 + 777 * 37);
        for (char *at = channel; *at != '\0'; at++) {
            if (*at == '[') at += 3;
            channel[n++] = *at == '*' || *at == '?' || *at == ']' ? 'a' : *at;
        }
        assert_int_equal(pattern_match(ix, (struct bytes){channel, n}, &found), 1);
        assert_ptr_equal(found[0], &items[777].pattern);
        assert_true(pattern_tried(ix) < 200);
        pattern_index_free(ix);
    }
    mem_free(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_many),
    };
    hash_seed();
    rng_seed(&rng, 3);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
