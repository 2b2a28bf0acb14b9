/* The scoreboard: how often each name came.
 *
 *   ZINCRBY key 1 name
 *
 * The name is the message itself, or one field of it. */
#include "flow/batch.h"
#include "flow/view.h"

static int take(struct view *v, struct bytes message, int64_t now_s, struct batch *batch,
                const char **ret_why)
{
    const struct flow_view *spec = view_spec(v);
    struct bytes name = message;
    if (spec->by != NULL && view_field(v, message, spec->by, &name, ret_why) != 0) return -1;
    batch_add(batch, BATCH_ZINCRBY, bytes_of(spec->key), name, 1);
    return 0;
}

const struct view_type view_scoreboard = {take, NULL, NULL, NULL};
