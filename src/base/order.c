/* A B+tree without parent pointers: changes go down from the root and note their path.
 *
 *     inner:  first[0] first[1] ...   the least pair below each child, exact at all times
 *             child[0] child[1] ...
 *             below[0] below[1] ...   how many pairs are below each child
 *     leaf:   pair[0] pair[1] ...     score and item side by side; leaves are linked both ways
 *
 * - No leaf is empty, no inner node has less than two children; all leaves are equally deep.
 * - Scores stand in the nodes, so an item's key is only looked at where scores are equal.
 * - A root that is a leaf starts small and doubles, so that small sets cost little.
 * - A removal joins or evens out neighbours that are less than a quarter full. An insertion at the
 *   very end leaves the old last leaf full, so that sets filled in ascending order are dense. */
#include "base/order.h"

#include "base/mem.h"
#include "base/must.h"

enum { LEAF_MAX = 30, LEAF_FIRST = 4, INNER_MAX = 31, DEPTH_MAX = 24 };

struct pair {
    double score;
    void *item;
};

struct order_node {
    uint16_t count; /* pairs or children */
    bool leaf;
};

struct leaf {
    struct order_node head;
    uint16_t cap;
    struct leaf *prev, *next;
    struct pair pair[];
};

struct inner {
    struct order_node head;
    struct pair first[INNER_MAX];
    struct order_node *child[INNER_MAX];
    size_t below[INNER_MAX];
};

_Static_assert(sizeof(struct leaf) + LEAF_MAX * sizeof(struct pair) <= 512, "a size of malloc's");
_Static_assert(sizeof(struct inner) <= 1024, "a size of malloc's");

/* The nodes from the root to a leaf and the slot taken in each. */
struct path {
    struct inner *node[DEPTH_MAX];
    unsigned slot[DEPTH_MAX];
    int depth;
};

/* -- comparing -------------------------------------------------------------------------------- */

/* A place to find: what precedes it is decided by score and key, by score alone or by key alone. */
struct probe {
    enum { BY_BOTH, BY_SCORE, BY_KEY } by;
    bool or_equal; /* what equals it precedes it too */
    double score;
    struct bytes key;
};

static bool key_precedes(const struct order *o, const struct pair *p, const struct probe *q)
{
    int c = bytes_cmp(o->key(p->item), q->key);
    return c < 0 || (c == 0 && q->or_equal);
}

static bool precedes(const struct order *o, const struct pair *p, const struct probe *q)
{
    if (q->by == BY_KEY) return key_precedes(o, p, q);
    if (p->score < q->score) return true;
    if (p->score > q->score) return false;
    return q->by == BY_SCORE ? q->or_equal : key_precedes(o, p, q);
}

/* How many of the n ordered pairs precede the place. */
static unsigned lower_bound(const struct order *o, const struct pair *pair, unsigned n,
                            const struct probe *q)
{
    unsigned from = 0;
    while (n > 0) {
        unsigned half = n / 2;
        if (precedes(o, &pair[from + half], q)) {
            from += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return from;
}

/* The child in which the place is: the last whose least pair precedes it, else the first. */
static unsigned child_for(const struct order *o, const struct inner *n, const struct probe *q)
{
    return lower_bound(o, n->first + 1, n->head.count - 1u, q);
}

/* -- nodes ------------------------------------------------------------------------------------ */

static struct leaf *as_leaf(struct order_node *n)
{
    must(n->leaf);
    return (struct leaf *)n;
}

static struct inner *as_inner(struct order_node *n)
{
    must(!n->leaf);
    return (struct inner *)n;
}

static size_t leaf_size(unsigned cap)
{
    return sizeof(struct leaf) + cap * sizeof(struct pair);
}

static struct leaf *leaf_new(unsigned cap)
{
    struct leaf *l = mem_alloc(leaf_size(cap));
    *l = (struct leaf){.head = {.leaf = true}, .cap = (uint16_t)cap};
    return l;
}

static struct inner *inner_new(void)
{
    struct inner *n = mem_alloc(sizeof *n);
    n->head = (struct order_node){0};
    return n;
}

static struct pair first_of(const struct order_node *n)
{
    return n->leaf ? ((const struct leaf *)n)->pair[0] : ((const struct inner *)n)->first[0];
}

static size_t total_of(const struct order_node *node)
{
    if (node->leaf) return node->count;
    const struct inner *n = (const struct inner *)node;
    size_t total = 0;
    for (unsigned i = 0; i < n->head.count; i++) total += n->below[i];
    return total;
}

/* Writes down anew what inner node `n` says of its child in `slot`. */
static void refresh(struct inner *n, unsigned slot)
{
    n->first[slot] = first_of(n->child[slot]);
    n->below[slot] = total_of(n->child[slot]);
}

static void inner_move(struct inner *to, unsigned at, const struct inner *from, unsigned start,
                       unsigned n)
{
    memmove(to->first + at, from->first + start, n * sizeof to->first[0]);
    memmove(to->child + at, from->child + start, n * sizeof(struct order_node *));
    memmove(to->below + at, from->below + start, n * sizeof to->below[0]);
}

static void inner_insert(struct inner *n, unsigned slot, struct order_node *child)
{
    must(n->head.count < INNER_MAX && slot <= n->head.count);
    inner_move(n, slot + 1, n, slot, n->head.count - slot);
    n->head.count++;
    n->child[slot] = child;
    refresh(n, slot);
}

static void inner_remove(struct inner *n, unsigned slot)
{
    inner_move(n, slot, n, slot + 1, n->head.count - slot - 1u);
    n->head.count--;
}

/* -- walking down ----------------------------------------------------------------------------- */

static struct leaf *descend(const struct order *o, const struct probe *q, struct path *ret_path)
{
    struct order_node *at = o->root;
    ret_path->depth = 0;
    while (!at->leaf) {
        struct inner *n = as_inner(at);
        unsigned slot = child_for(o, n, q);
        must(ret_path->depth < DEPTH_MAX);
        ret_path->node[ret_path->depth] = n;
        ret_path->slot[ret_path->depth++] = slot;
        at = n->child[slot];
    }
    return as_leaf(at);
}

static size_t count_before(const struct order *o, const struct probe *q)
{
    size_t n = 0;
    struct order_node *at = o->root;
    if (at == NULL) return 0;
    while (!at->leaf) {
        struct inner *node = as_inner(at);
        unsigned slot = child_for(o, node, q);
        for (unsigned i = 0; i < slot; i++) n += node->below[i];
        at = node->child[slot];
    }
    const struct leaf *l = as_leaf(at);
    return n + lower_bound(o, l->pair, l->head.count, q);
}

/* The first pair of the path's node at `level` (its depth for the leaf) has changed: so has that of
 * all nodes above in which it comes first. */
static void note_first(const struct path *path, int level, struct pair first)
{
    for (int i = level - 1; i >= 0; i--) {
        path->node[i]->first[path->slot[i]] = first;
        if (path->slot[i] > 0) return;
    }
}

static void note_count(const struct path *path, size_t more)
{
    for (int i = 0; i < path->depth; i++) path->node[i]->below[path->slot[i]] += more;
}

/* The leaf and slot of (score, key), which must be there. */
static struct leaf *locate(const struct order *o, double score, struct bytes key,
                           struct path *ret_path, unsigned *ret_slot)
{
    must(o->root != NULL);
    /* Down by or_equal, so that a pair which is a node's first is looked for in that node. */
    struct probe q = {.by = BY_BOTH, .or_equal = true, .score = score, .key = key};
    struct leaf *l = descend(o, &q, ret_path);
    q.or_equal = false;
    unsigned slot = lower_bound(o, l->pair, l->head.count, &q);
    must(slot < l->head.count && l->pair[slot].score == score &&
         bytes_eq(o->key(l->pair[slot].item), key));
    *ret_slot = slot;
    return l;
}

/* -- inserting -------------------------------------------------------------------------------- */

/* Puts `right`, split off from the node at the path's level `level` (the path's depth for a leaf),
 * beside it. */
static void add_sibling(struct order *o, struct path *path, int level, struct order_node *right)
{
    for (; level > 0; level--) {
        struct inner *parent = path->node[level - 1];
        unsigned slot = path->slot[level - 1];
        if (parent->head.count < INNER_MAX) {
            refresh(parent, slot);
            inner_insert(parent, slot + 1, right);
            return;
        }
        /* At the right edge leave the node full but for what its sibling needs to be a node. */
        unsigned keep = slot + 1 == INNER_MAX ? INNER_MAX - 1 : INNER_MAX / 2;
        struct inner *half = inner_new();
        inner_move(half, 0, parent, keep, INNER_MAX - keep);
        half->head.count = (uint16_t)(INNER_MAX - keep);
        parent->head.count = (uint16_t)keep;
        struct inner *home = slot < keep ? parent : half;
        if (slot >= keep) slot -= keep;
        refresh(home, slot);
        inner_insert(home, slot + 1, right);
        right = &half->head;
    }
    struct inner *root = inner_new();
    inner_insert(root, 0, o->root);
    inner_insert(root, 1, right);
    o->root = &root->head;
}

static struct leaf *split_leaf(struct leaf *l, unsigned keep)
{
    struct leaf *right = leaf_new(LEAF_MAX);
    right->head.count = (uint16_t)(l->head.count - keep);
    l->head.count = (uint16_t)keep;
    memcpy(right->pair, l->pair + keep, right->head.count * sizeof(struct pair));
    right->prev = l;
    right->next = l->next;
    if (l->next != NULL) l->next->prev = right;
    l->next = right;
    return right;
}

static void leaf_insert(struct leaf *l, unsigned slot, struct pair p)
{
    must(l->head.count < l->cap);
    memmove(l->pair + slot + 1, l->pair + slot, (l->head.count - slot) * sizeof p);
    l->pair[slot] = p;
    l->head.count++;
}

/* The root leaf with room for one more; only it is ever smaller than LEAF_MAX. */
static struct leaf *grow_root_leaf(struct order *o, struct leaf *l)
{
    unsigned cap = l->cap * 2u < LEAF_MAX ? l->cap * 2u : LEAF_MAX;
    l = mem_realloc(l, leaf_size(cap));
    l->cap = (uint16_t)cap;
    o->root = &l->head;
    return l;
}

void order_insert(struct order *o, double score, void *item)
{
    struct pair p = {score, item};
    struct probe q = {.by = BY_BOTH, .score = score, .key = o->key(item)};
    struct path path;
    if (o->root == NULL) o->root = &leaf_new(LEAF_FIRST)->head;
    struct leaf *l = descend(o, &q, &path);
    unsigned slot = lower_bound(o, l->pair, l->head.count, &q);
    o->count++;
    note_count(&path, 1);
    if (l->head.count == l->cap && l->cap < LEAF_MAX) l = grow_root_leaf(o, l);
    if (l->head.count < LEAF_MAX) {
        leaf_insert(l, slot, p);
        if (slot == 0) note_first(&path, path.depth, p);
        return;
    }
    bool at_end = slot == LEAF_MAX && l->next == NULL;
    struct leaf *right = split_leaf(l, at_end ? LEAF_MAX : LEAF_MAX / 2);
    if (slot > l->head.count || at_end) {
        leaf_insert(right, slot - l->head.count, p);
    } else {
        leaf_insert(l, slot, p);
        if (slot == 0) note_first(&path, path.depth, p);
    }
    add_sibling(o, &path, path.depth, &right->head);
}

/* -- removing --------------------------------------------------------------------------------- */

/* Moves all of `right` behind `left`, which has the room, and frees it. */
static void join(struct order_node *left, struct order_node *right)
{
    if (left->leaf) {
        struct leaf *l = as_leaf(left), *r = as_leaf(right);
        memcpy(l->pair + left->count, r->pair, right->count * sizeof(struct pair));
        l->next = r->next;
        if (r->next != NULL) r->next->prev = l;
    } else {
        inner_move(as_inner(left), left->count, as_inner(right), 0, right->count);
    }
    left->count = (uint16_t)(left->count + right->count);
    mem_free(right);
}

/* Evens out two neighbours; together they have more than one node holds. */
static void even_out(struct order_node *left, struct order_node *right)
{
    unsigned total = left->count + right->count, n = total / 2, old = left->count;
    if (left->leaf) {
        struct pair both[2 * LEAF_MAX];
        struct leaf *l = as_leaf(left), *r = as_leaf(right);
        memcpy(both, l->pair, old * sizeof both[0]);
        memcpy(both + old, r->pair, right->count * sizeof both[0]);
        memcpy(l->pair, both, n * sizeof both[0]);
        memcpy(r->pair, both + n, (total - n) * sizeof both[0]);
    } else if (old < n) {
        struct inner *l = as_inner(left), *r = as_inner(right);
        inner_move(l, old, r, 0, n - old);
        inner_move(r, 0, r, n - old, total - n);
    } else {
        struct inner *l = as_inner(left), *r = as_inner(right);
        inner_move(r, old - n, r, 0, right->count);
        inner_move(r, 0, l, n, old - n);
    }
    left->count = (uint16_t)n;
    right->count = (uint16_t)(total - n);
}

/* From the leaf up: a node that has become too empty is joined or evened out with a neighbour. */
static void mend(struct order *o, struct path *path)
{
    for (int level = path->depth; level > 0; level--) {
        struct inner *parent = path->node[level - 1];
        unsigned slot = path->slot[level - 1];
        unsigned max = parent->child[slot]->leaf ? LEAF_MAX : INNER_MAX;
        if (parent->child[slot]->count >= max / 4) return;
        must(parent->head.count > 1);
        unsigned i = slot > 0 ? slot - 1 : 0;
        struct order_node *left = parent->child[i], *right = parent->child[i + 1];
        if (left->count + right->count <= max) {
            join(left, right);
            inner_remove(parent, i + 1);
        } else {
            even_out(left, right);
            refresh(parent, i + 1);
        }
        refresh(parent, i);
        if (i == 0) note_first(path, level - 1, parent->first[0]);
    }
}

/* An inner root of one child is of no use. */
static void lower_root(struct order *o)
{
    while (!o->root->leaf && o->root->count == 1) {
        struct inner *n = as_inner(o->root);
        o->root = n->child[0];
        mem_free(n);
    }
}

void *order_remove(struct order *o, double score, struct bytes key)
{
    struct path path;
    unsigned slot;
    struct leaf *l = locate(o, score, key, &path, &slot);
    void *item = l->pair[slot].item;
    l->head.count--;
    memmove(l->pair + slot, l->pair + slot + 1, (l->head.count - slot) * sizeof(struct pair));
    o->count--;
    if (o->count == 0) {
        order_clear(o);
        return item;
    }
    note_count(&path, (size_t)-1);
    if (slot == 0 && l->head.count > 0) note_first(&path, path.depth, l->pair[0]);
    mend(o, &path);
    lower_root(o);
    return item;
}

/* -- the rest --------------------------------------------------------------------------------- */

void order_init(struct order *o, struct bytes (*key)(const void *item))
{
    *o = (struct order){.key = key};
}

static void node_free(struct order_node *n)
{
    for (unsigned i = 0; !n->leaf && i < n->count; i++) node_free(as_inner(n)->child[i]);
    mem_free(n);
}

void order_clear(struct order *o)
{
    if (o->root != NULL) node_free(o->root);
    o->root = NULL;
    o->count = 0;
}

void order_replace(struct order *o, double score, struct bytes key, void *item)
{
    struct path path;
    unsigned slot;
    struct leaf *l = locate(o, score, key, &path, &slot);
    l->pair[slot].item = item;
    if (slot == 0) note_first(&path, path.depth, l->pair[0]);
}

size_t order_rank(const struct order *o, double score, struct bytes key)
{
    return count_before(o, &(struct probe){.by = BY_BOTH, .score = score, .key = key});
}

size_t order_count_below(const struct order *o, double score, bool or_equal)
{
    return count_before(o, &(struct probe){.by = BY_SCORE, .or_equal = or_equal, .score = score});
}

size_t order_count_below_key(const struct order *o, struct bytes key, bool or_equal)
{
    return count_before(o, &(struct probe){.by = BY_KEY, .or_equal = or_equal, .key = key});
}

bool order_seek(const struct order *o, size_t rank, struct order_iter *ret_it)
{
    *ret_it = (struct order_iter){0};
    if (rank >= o->count) return false;
    struct order_node *at = o->root;
    while (!at->leaf) {
        struct inner *n = as_inner(at);
        unsigned slot = 0;
        while (rank >= n->below[slot]) rank -= n->below[slot++];
        at = n->child[slot];
    }
    *ret_it = (struct order_iter){at, (unsigned)rank};
    return true;
}

void *order_at(const struct order_iter *it, double *ret_score)
{
    if (it->leaf == NULL) return NULL;
    const struct pair *p = &as_leaf(it->leaf)->pair[it->slot];
    if (ret_score != NULL) *ret_score = p->score;
    return p->item;
}

void order_next(struct order_iter *it)
{
    if (it->leaf == NULL || ++it->slot < it->leaf->count) return;
    struct leaf *next = as_leaf(it->leaf)->next;
    *it = (struct order_iter){next == NULL ? NULL : &next->head, 0};
}

void order_prev(struct order_iter *it)
{
    if (it->leaf == NULL || it->slot-- > 0) return;
    struct leaf *prev = as_leaf(it->leaf)->prev;
    if (prev == NULL) {
        *it = (struct order_iter){0};
    } else {
        *it = (struct order_iter){&prev->head, prev->head.count - 1u};
    }
}

static size_t node_memory(const struct order_node *n)
{
    if (n->leaf) return leaf_size(((const struct leaf *)n)->cap);
    size_t bytes = sizeof(struct inner);
    for (unsigned i = 0; i < n->count; i++)
        bytes += node_memory(((const struct inner *)n)->child[i]);
    return bytes;
}

size_t order_memory(const struct order *o)
{
    return o->root == NULL ? 0 : node_memory(o->root);
}
