/* What a person can do about an error. */
#ifndef LEAT_CLI_TOOL_REMEDY_H
#define LEAT_CLI_TOOL_REMEDY_H

#include "base/bytes.h"

/* For an error reply ("NOAUTH ..."): a static sentence, or NULL where the error says it all. */
const char *remedy_for_reply(struct bytes error);
/* For a connection that was not made or broke, from leat_sync_open's sentence. */
const char *remedy_for_connection(struct bytes error);

#endif
