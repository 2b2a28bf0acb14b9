/* Which view and keys a request means. */
#include "cli/dashboard_priv.h"

const struct flow_view *question_view(const struct dashboard *d, enum flow_view_type type,
                                      const char *id)
{
    size_t n = d->flow ? flow_view_count(d->flow) : 0;
    for (size_t i = 0; i < n; i++) {
        const struct flow_view *view = flow_view_at(d->flow, i);
        if (view->type == type && (!id || strcmp(view->id, id) == 0)) return view;
    }
    return NULL;
}

bool question_keys(struct http_request *r, const char **keys, size_t *ret_count)
{
    size_t n = 0;
    const char *key = NULL;
    while ((key = http_query(r, "key", (int)n)) != NULL) {
        if (n == DASH_KEYS_MAX) return false;
        keys[n++] = key;
    }
    *ret_count = n;
    return true;
}
