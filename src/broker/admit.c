#include "broker/admit.h"

#include <string.h>

#include "broker/internal.h"

/* Framing, kind, database and the key's length, for each of the records that one key may need: the
 * deletion of what was expired, the change, and an expiry or the deletion of what became empty. */
enum { RECORDS_PER_KEY = 3, RECORD_HEAD = 16, RECORD_BYTES_MAX = 1 << 20 };

static size_t estimate_key(struct bytes key)
{
    return RECORDS_PER_KEY * (RECORD_HEAD + key.len);
}

size_t admit_estimate(const struct command *cmd, size_t argc, const struct bytes *argv)
{
    size_t bytes = RECORDS_PER_KEY * RECORD_HEAD;
    for (size_t i = 1; i < argc; i++) bytes += argv[i].len + ADMIT_ITEM;
    if (cmd->first_key == 0) return bytes;
    if (cmd->key_positions != KEYS_RANGE) { /* few and short: any of them may be a key */
        for (size_t i = 1; i < argc; i++) bytes += estimate_key(argv[i]);
        return bytes;
    }
    int last = cmd->last_key < 0 ? (int)argc + cmd->last_key : cmd->last_key;
    for (int i = cmd->first_key; i <= last && i < (int)argc; i += cmd->key_step)
        bytes += estimate_key(argv[i]);
    return bytes;
}

bool admit_bytes(struct call *c, size_t bytes, bool shrinking)
{
    struct journal *j = c->broker->journal;
    if (journal_admit(j, bytes, shrinking) == 0) return true;
    resp_error(c->reply, "MISCONF %s", journal_refusal(j));
    return false;
}

bool admit_stream(struct call *c, const struct command *cmd)
{
    return !(cmd->acl & ACL_STREAM) || !(cmd->flags & CMD_DENYOOM) || admit_entry(c);
}

bool admit_entry(struct call *c)
{
    int error = stream_store_refusal(c->broker->streams);
    if (error == 0) return true;
    resp_error(c->reply, "MISCONF entries of streams cannot be written to chunk files in %s: %s",
               c->broker->settings.dir, strerror(-error));
    return false;
}

bool call_admit(struct call *c, size_t bytes)
{
    size_t all = admit_estimate(c->cmd, c->argc, c->argv) + bytes + c->broker->admitted_rest;
    /* A very long list of items becomes several records, each with the key. */
    all += bytes / RECORD_BYTES_MAX * (c->argv[1].len + RECORD_HEAD);
    return admit_bytes(c, all, (c->cmd->flags & CMD_SHRINKS) != 0);
}
