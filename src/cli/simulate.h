/* The command `leat simulate`: serves or prints simulated events. Returns the exit status. */
#ifndef LEAT_CLI_SIMULATE_H
#define LEAT_CLI_SIMULATE_H

int cmd_simulate(int argc, char **argv);

#endif
