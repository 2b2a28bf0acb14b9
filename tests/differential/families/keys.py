"""Generic commands: all but SORT, DUMP, RESTORE and MIGRATE."""

from families import SEEDS, command, commands, draw, hello
from families import hashes, lists, sets, strings, zsets
from steps import Step


def seconds(g):
    return g.pick(["100", "200", "1000", "50000", "-1", "0", g.int(), "9223372036854775807",
                   "-9223372036854775808", "9223372036854775", "9223372036854774"])


def expire(g):
    name = g.pick(["EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"])
    when = {
        "EXPIRE": lambda: g.pick(["100", "200", "300", "1000", "-1", "0"]),
        "PEXPIRE": lambda: g.pick(["100000", "200000", "300000", "-1", "0"]),
        "EXPIREAT": lambda: g.pick(["4102444800", "4102444900", "4000000000", "1", "0", "-1"]),
        "PEXPIREAT": lambda: g.pick(["4102444800000", "4102444900000", "4000000000000", "1", "-5"]),
    }[name]() if g.chance(0.85) else seconds(g)
    if name in ("EXPIRE", "PEXPIRE") and when.lstrip("-").isdigit() and 0 < int(when) < 60:
        when = "100000"  # must not run out within the sequence
    options = []
    if g.chance(0.5):
        options = g.some(lambda: g.case(g.pick(["NX", "XX", "GT", "LT"])), 1, 1 if g.chance(0.8) else 2)
    return [name, g.any_key(), when] + options


def copy(g):
    args = ["COPY", g.any_key(), g.any_key()]
    return args + g.maybe(0.25, g.case("DB"), g.pick(["0", "1", "2", "15", "16", "-1", "x"])) \
        + g.maybe(0.4, g.case("REPLACE"))


def scan(g):
    args = ["SCAN", g.pick(["0"] * 8 + ["x", "-1", "", "18446744073709551616"])]
    return args + g.maybe(0.5, "MATCH", g.pattern()) + g.maybe(0.5, "COUNT", g.small(-1, 20)) \
        + g.maybe(0.4, "TYPE", g.pick(["string", "hash", "set", "zset", "list", "stream", "STRING", "nix"]))


GRAMMAR = [
    (4, expire),
    (3, lambda g: [g.pick(["TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"]), g.any_key()]),
    (2, lambda g: ["PERSIST", g.any_key()]),
    (3, copy),
    (2, lambda g: [g.pick(["DEL", "UNLINK"])] + g.some(g.any_key)),
    (2, lambda g: ["EXISTS"] + g.some(g.any_key)),
    (1, lambda g: ["KEYS", g.pattern()]),
    (2, lambda g: ["MOVE", g.any_key(), g.pick(["0", "1", "2", "15", "16", "-1", "x", "1"])]),
    (1, lambda g: ["OBJECT", g.pick(["ENCODING", "encoding", "REFCOUNT", "FREQ", "NIX"]), g.any_key()]),
    (1, lambda g: ["RANDOMKEY"]),
    (3, lambda g: [g.pick(["RENAME", "RENAMENX"]), g.any_key(), g.any_key()]),
    (1, scan),
    (1, lambda g: ["TOUCH"] + g.some(g.any_key)),
    (2, lambda g: ["TYPE", g.any_key()]),
    (1, lambda g: ["DBSIZE"]),
    (0.5, lambda g: ["WAIT", g.pick(["0", "0", "x", "-1"]), g.pick(["0", "10", "x", "-1"])]),
    (0.5, lambda g: ["SWAPDB", g.pick(["0", "1", "2", "16", "x"]), g.pick(["0", "1", "-1", "y"])]),
    (0.3, lambda g: [g.pick(["FLUSHDB", "FLUSHALL"])] + g.maybe(0.6, g.pick(["ASYNC", "SYNC", "NOW", "async"]))),
    (1.5, lambda g: ["SELECT", g.pick(["0", "0", "1", "2", "15", "16", "-1", "x", ""])]),
    (1, lambda g: draw(g, strings.GRAMMAR, 0)),
    (1, lambda g: draw(g, hashes.GRAMMAR, 0)),
    (1, lambda g: draw(g, lists.GRAMMAR, 0)),
    (1, lambda g: draw(g, sets.GRAMMAR, 0)),
    (1, lambda g: draw(g, zsets.GRAMMAR, 0)),
]


def sequence(gen, length):
    steps = hello(gen) + [command(0, *seed) for seed in SEEDS]
    for step in commands(gen, GRAMMAR, length):
        # Reference counts of small integers differ by how a server shares them; of others it is 1.
        if step.name() == b"OBJECT" and len(step.args) > 1 and step.args[1].upper() == b"REFCOUNT":
            steps.append(command(0, "SET", step.args[-1], "some text"))
        steps.append(step)
        if gen.chance(0.03):
            steps += [command(0, *gen.pick(SEEDS)) for _ in range(3)]
    return steps


def mixed(gen, length):
    """Every family at once, on the same keys."""
    grammar = strings.GRAMMAR + hashes.GRAMMAR + sets.GRAMMAR + zsets.GRAMMAR + GRAMMAR
    return hello(gen) + commands(gen, grammar, length, broken=0.05)


def big(gen, length):
    """Databases of some hundreds of keys: KEYS, SCAN and RANDOMKEY where tables have grown."""
    steps = hello(gen)
    count = gen.rng.randint(100, 600)
    for i in range(count):
        steps.append(command(0, "SET", "k:%d" % i, i) if i % 3 else command(0, "HSET", "k:%d" % i, "f", i))
    for _ in range(max(length // 30, 3)):
        steps += [command(0, "DEL", *("k:%d" % gen.rng.randrange(count) for _ in range(20))),
                  command(0, "SCAN", "0", "COUNT", gen.pick(["1", "10", "100", "1000"]),
                          *gen.pick([[], ["MATCH", "k:*1"], ["TYPE", "hash"]])),
                  command(0, "DBSIZE"), command(0, "KEYS", gen.pick(["*", "k:1*", "k:?", "k:[0-4]5"])),
                  command(0, "RANDOMKEY")]
    steps.append(Step("sleep", 0, [1]))
    return steps


SEQUENCES = {"keys": sequence, "mixed": mixed, "manykeys": big}
