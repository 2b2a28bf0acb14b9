/* What the commands of a transaction will read of streams on disk, brought into memory before the
 * first of them runs: nothing may come between two of them, so then it would hold up the loop. */
#ifndef LEAT_BROKER_EXEC_FETCH_H
#define LEAT_BROKER_EXEC_FETCH_H

#include "broker/call.h"

/* False when something has to be read first: EXEC is parked, with nothing changed or replied, and
 * runs again. What an earlier command of the transaction makes the later ones need is not foreseen,
 * nor what they need beyond the first megabytes; that is read at once when they come to it. */
bool exec_fetch(struct call *c);

#endif
