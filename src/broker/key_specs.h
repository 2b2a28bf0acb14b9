/* What commands do with their keys, as COMMAND INFO and COMMAND GETKEYSANDFLAGS tell it. */
#ifndef LEAT_BROKER_KEY_SPECS_H
#define LEAT_BROKER_KEY_SPECS_H

#include "broker/command.h"
#include "resp/writer.h"

/* The key specifications of COMMAND INFO: none, one, or two where the first key is used otherwise
 * than the rest. */
void key_specs_put(struct resp_writer *w, const struct command *cmd);
/* What this call does with its `i`-th key, as a set of flags. */
void key_specs_put_use(struct resp_writer *w, const struct command *cmd, const struct bytes *argv,
                       size_t argc, int i);

#endif
