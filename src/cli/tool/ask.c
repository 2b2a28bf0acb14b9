/* See ask.h. */
#include "cli/tool/ask.h"

#include "base/mem.h"
#include "client/sync.h"

void ask_bytes(struct ask *a, struct bytes word)
{
    if (a->count == a->cap) {
        a->cap = a->cap ? 2 * a->cap : 16;
        a->ends = mem_realloc(a->ends, a->cap * sizeof *a->ends);
    }
    buf_put(&a->text, word);
    a->ends[a->count++] = a->text.len;
}

void ask_text(struct ask *a, const char *word)
{
    ask_bytes(a, bytes_of(word));
}

void ask_int(struct ask *a, int64_t n)
{
    buf_printf(&a->text, "%lld", (long long)n);
    ask_bytes(a, (struct bytes){NULL, 0});
}

void ask_words(struct ask *a, const char *words)
{
    while (*words != '\0') {
        size_t len = strcspn(words, " ");
        ask_bytes(a, (struct bytes){words, len});
        words += len + (words[len] == ' ');
    }
}

void ask_fini(struct ask *a)
{
    buf_fini(&a->text);
    mem_free(a->ends);
    *a = (struct ask){0};
}

int ask_send(struct ask *a, struct leat_sync *to)
{
    const char **argv = mem_alloc(a->count * sizeof *argv);
    size_t *lens = mem_alloc(a->count * sizeof *lens);
    for (size_t i = 0; i < a->count; i++) {
        size_t start = i > 0 ? a->ends[i - 1] : 0;
        argv[i] = a->text.data == NULL ? "" : a->text.data + start;
        lens[i] = a->ends[i] - start;
    }
    int rc = leat_sync_send(to, (int)a->count, argv, lens);
    mem_free(argv);
    mem_free(lens);
    ask_fini(a);
    return rc;
}
