/* The texts of settings about durable channels. */
#ifndef LEAT_BROKER_DURABLE_SETTINGS_H
#define LEAT_BROKER_DURABLE_SETTINGS_H

#include "keys/stream.h"

enum durable_policy { ON_SLOW_SPILL, ON_SLOW_DISCONNECT, ON_SLOW_DROP_OLDEST };

/* Takes the next word off `rest`; words are separated by blanks. */
bool durable_next_word(struct bytes *rest, struct bytes *ret_word);
/* "age=24h bytes=1gb until-acked", in any order; at least an age or bytes, since acknowledgements
 * alone bound nothing. */
bool durable_parse_retention(struct bytes text, struct stream_retention *ret);
/* One word: "pattern=spill", disconnect or drop-oldest. */
bool durable_parse_on_slow(struct bytes word, struct bytes *ret_pattern,
                           enum durable_policy *ret_policy);
/* Is every word of the text such a one? */
bool durable_on_slow_is_valid(struct bytes text);

#endif
