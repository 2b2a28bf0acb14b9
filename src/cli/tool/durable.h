/* Channels that lose nothing, as far as a server has them. */
#ifndef LEAT_CLI_TOOL_DURABLE_H
#define LEAT_CLI_TOOL_DURABLE_H

#include "cli/tool/tool.h"

/* What the setting `durable` of the server says: the patterns of channels that are durable. False
 * when it has no such setting, as every server but leat, or the connection broke, which has been
 * said and is in the status; *ret_patterns is empty then. */
bool durable_patterns(struct tool *t, struct buf *ret_patterns);
/* Whether a channel (or, as a whole, a pattern) is among them; patterns are separated by spaces. */
bool durable_covers(struct bytes patterns, struct bytes channel);

#endif
