#include "broker/notify.h"

struct letter {
    char letter;
    enum notify_class class;
};

/* In the order CONFIG GET writes them. */
/* clang-format off */
static const struct letter letters_of_all[] = {
    {'g', NOTIFY_GENERIC}, {'$', NOTIFY_STRING},  {'l', NOTIFY_LIST},    {'s', NOTIFY_SET},
    {'h', NOTIFY_HASH},    {'z', NOTIFY_ZSET},    {'x', NOTIFY_EXPIRED}, {'e', NOTIFY_EVICTED},
    {'t', NOTIFY_STREAM},  {'d', NOTIFY_MODULE},  {'n', NOTIFY_NEW},     {'K', NOTIFY_KEYSPACE},
    {'E', NOTIFY_KEYEVENT}, {'m', NOTIFY_MISS},
};
/* clang-format on */

enum { LETTERS = sizeof letters_of_all / sizeof *letters_of_all };

static unsigned class_of(char letter)
{
    if (letter == 'A') return NOTIFY_ALL;
    for (int i = 0; i < LETTERS; i++)
        if (letters_of_all[i].letter == letter) return letters_of_all[i].class;
    return 0;
}

bool notify_parse(struct bytes letters, unsigned *ret_classes)
{
    unsigned classes = 0;
    for (size_t i = 0; i < letters.len; i++) {
        unsigned class = class_of(letters.data[i]);
        if (class == 0) return false;
        classes |= class;
    }
    *ret_classes = classes;
    return true;
}

void notify_format(unsigned classes, struct buf *out)
{
    bool all = (classes & NOTIFY_ALL) == NOTIFY_ALL;
    if (all) buf_putc(out, 'A');
    for (int i = 0; i < LETTERS; i++) {
        enum notify_class class = letters_of_all[i].class;
        if ((classes & class) && !(all && (class & NOTIFY_ALL)))
            buf_putc(out, letters_of_all[i].letter);
    }
}
