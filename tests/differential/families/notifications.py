"""Keyspace notifications: which events a command gives, on which channel, in which order."""

from dynamic import BY_NAME
from families import SEEDS, command, draw, hello, settle
from families import hashes, keys, lists, sets, strings, zsets
from families.connection import token
from steps import Step

GRAMMAR = strings.GRAMMAR + hashes.GRAMMAR + lists.GRAMMAR + sets.GRAMMAR + zsets.GRAMMAR + keys.GRAMMAR * 2
FLAGS = ["KEA", "KEA", "KEAmn", "Kg$", "Ezshgx", "KE$", "Ehd", "KEz", "KEs", "A", "K", "E", "", "KEAn", "KEm", "KEg"]


def sequence(gen, length):
    steps = hello(gen, 1) + [token(1, "PSUBSCRIBE", "__key*__:*")]
    steps += [command(0, *s) for s in SEEDS]
    steps.append(command(0, "CONFIG", "SET", "notify-keyspace-events", gen.pick(FLAGS[:6])))
    for _ in range(length // 3):
        args = draw(gen, GRAMMAR, 0.03)
        if args[0].upper() in BY_NAME:
            continue
        steps += settle(Step("cmd", 0, args)) + [token(1)]
        if gen.chance(0.05):
            steps += [command(0, *gen.pick(SEEDS)), token(1)]
        if gen.chance(0.02):
            steps += [command(0, "CONFIG", "SET", "notify-keyspace-events", gen.pick(FLAGS)),
                      command(0, "CONFIG", "GET", "notify-keyspace-events")]
        if gen.chance(0.03):
            steps += [command(0, "MULTI")] + [s for s in (Step("cmd", 0, draw(gen, GRAMMAR, 0)) for _ in range(3))
                                              if s.name() not in BY_NAME] + [command(0, "EXEC"), token(1)]
    steps += [command(0, "CONFIG", "SET", "notify-keyspace-events", "KExz"),
              command(0, "CONFIG", "SET", "notify-keyspace-events", "bad?"),
              command(0, "CONFIG", "GET", "notify-keyspace-events")]
    return steps


def expired(gen, length):
    """A key that ran out is announced, at the latest when somebody looks for it."""
    steps = [token(1, "PSUBSCRIBE", "__key*__:*"), command(0, "CONFIG", "SET", "notify-keyspace-events", "KEx")]
    for name in ("s1", "s2"):
        steps += [command(0, "SET", name, "v", "PX", "8"), Step("sleep", 0, [20]),
                  command(0, gen.pick(["GET", "EXISTS", "TTL", "TYPE"]), name), Step("sleep", 0, [150]), token(1)]
    return steps


SEQUENCES = {"notifications": sequence, "expired": expired}
