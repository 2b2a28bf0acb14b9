"""MULTI, EXEC, DISCARD, WATCH, UNWATCH."""

from dynamic import BY_NAME
from families import SEEDS, command, draw, hello, settle
from families import hashes, keys, lists, sets, strings, zsets
from steps import Step

GRAMMAR = strings.GRAMMAR + hashes.GRAMMAR + lists.GRAMMAR + lists.WAITING[:2] + sets.GRAMMAR + zsets.GRAMMAR + keys.GRAMMAR[:12]


def plain(gen, conn, broken):
    """A command whose reply is not random (in a list, with what settles it)."""
    while True:
        args = draw(gen, GRAMMAR, broken)
        if args[0].upper() not in BY_NAME:
            return settle(Step("cmd", conn, args))


def odd(gen, conn):
    """What does not belong into a transaction."""
    return command(conn, *gen.pick([
        ["MULTI"], ["NOSUCH", "a", "b"], ["WATCH", "s1"], ["GET"], ["SET", "s1"], ["EXEC", "now"],
        ["DISCARD", "it"], ["MULTI", "x"], ["UNWATCH", "s1"], ["WATCH"], ["PING"], ["ECHO", "x"],
        ["SELECT", "1"], ["SELECT", "0"], ["HGET", "s1", "f"], ["INCR", "h1"], ["CLIENT", "GETNAME"],
        ["UNWATCH"], ["OBJECT"], ["OBJECT", "NIX", "a"], ["CONFIG", "GET", "maxmemory-policy"]]))


def sequence(gen, length):
    steps = hello(gen, 0) + hello(gen, 1) + [command(0, *s) for s in SEEDS]
    while len(steps) < length:
        if gen.chance(0.5):
            steps.append(command(0, "WATCH", *gen.some(gen.any_key, 1, 3)))
        if gen.chance(0.5):  # somebody else changes something, or just looks, or touches and restores
            steps += [s for _ in range(gen.rng.randint(1, 3)) for s in plain(gen, 1, 0.02)]
        if gen.chance(0.1):
            steps.append(command(gen.pick([0, 1]), *gen.pick([
                ["UNWATCH"], ["FLUSHALL"], ["FLUSHDB"], ["SWAPDB", "0", "1"], ["SELECT", "0"], ["SELECT", "1"],
                ["EXEC"], ["DISCARD"]])))
        if gen.chance(0.2):
            steps += plain(gen, 0, 0.02)
        if gen.chance(0.9):
            steps.append(command(0, "MULTI"))
        for _ in range(gen.rng.randint(0, 6)):
            steps += [odd(gen, 0)] if gen.chance(0.07) else plain(gen, 0, 0.02)
            if gen.chance(0.1):
                steps += plain(gen, 1, 0.02)
        steps.append(command(0, *gen.pick([["EXEC"]] * 8 + [["DISCARD"], ["RESET"]])))
        if gen.chance(0.05):
            steps += [command(0, *gen.pick([["EXEC"], ["DISCARD"]]))]
        if gen.chance(0.2):
            steps += [command(0, *s) for s in SEEDS if gen.chance(0.3)]
    return steps


def watched_expiry(gen, length):
    """A watched key that runs out, before and after it was watched."""
    steps = hello(gen)
    for _ in range(max(length // 80, 2)):
        steps += [command(0, "SET", "s1", "v", "PX", "100")]
        if gen.chance(0.5):
            steps += [Step("sleep", 0, [115]), command(0, "WATCH", "s1")]
        else:
            steps += [command(0, "WATCH", "s1"), Step("sleep", 0, [115])]
        if gen.chance(0.5):
            steps += [command(1, gen.pick(["GET", "DEL", "TTL"]), "s1")]
        steps += [command(0, "MULTI"), command(0, "GET", "s1"), command(0, "EXEC")]
    return steps


SEQUENCES = {"transactions": sequence, "watchexpiry": watched_expiry}
