/* Union, intersection and difference of sets: the handlers, for the table in cmd_set.c. */
#ifndef LEAT_BROKER_SET_ALGEBRA_H
#define LEAT_BROKER_SET_ALGEBRA_H

struct call;

void cmd_sdiff(struct call *c);
void cmd_sdiffstore(struct call *c);
void cmd_sinter(struct call *c);
void cmd_sintercard(struct call *c);
void cmd_sinterstore(struct call *c);
void cmd_sunion(struct call *c);
void cmd_sunionstore(struct call *c);

#endif
