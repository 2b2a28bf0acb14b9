/* The command `leat replay`: serves a recording as a feed. Returns the exit status. */
#ifndef LEAT_CLI_REPLAY_H
#define LEAT_CLI_REPLAY_H

int cmd_replay(int argc, char **argv);

#endif
