"""Lists, and clients that wait for their elements."""

from families import command, commands, draw, hello, typed
from families.connection import token
from steps import Step

TIMEOUT = "0.01"  # what waits in vain where nobody is meant to wait


def index(g):
    return g.pick(["0", "-1", "1", "2", "-2", "-3", "5", "100", "-100", g.small()])


def end(g):
    return g.case(g.pick(["LEFT", "RIGHT"]))


def push(g):
    return [g.pick(["LPUSH", "RPUSH"]), g.key("l")] + g.some(g.member, 1, 5)


def keys_with_count(g):
    keys = g.some(lambda: g.key(g.pick("lllt")), 1, 3)
    return [str(len(keys)) if g.chance(0.93) else g.small(-1, 5)] + keys


def mpop(g):
    return keys_with_count(g) + [end(g)] + g.maybe(0.5, g.case("COUNT"), g.small(-1, 4))


def lpos(g):
    args = ["LPOS", g.key("l"), g.member()]
    for word in ("RANK", "COUNT", "MAXLEN"):
        args += g.maybe(0.4, g.case(word), g.small(-3, 4))
    return args


GRAMMAR = [
    (8, push),
    (2, lambda g: [g.pick(["LPUSHX", "RPUSHX"]), g.key("l")] + g.some(g.member, 1, 3)),
    (3, lambda g: [g.pick(["LPOP", "RPOP"]), g.key("l")] + g.maybe(0.4, g.small(-1, 4))),
    (2, lambda g: ["LLEN", g.key("l")]),
    (3, lambda g: ["LINDEX", g.key("l"), index(g)]),
    (3, lambda g: ["LSET", g.key("l"), index(g), g.member()]),
    (3, lambda g: ["LINSERT", g.key("l"), g.case(g.pick(["BEFORE", "AFTER"])), g.member(), g.member()]),
    (4, lambda g: ["LRANGE", g.key("l"), index(g), index(g)]),
    (2, lambda g: ["LRANGE", g.key("l"), "0", "-1"]),
    (1, lambda g: ["LTRIM", g.key("l"), index(g), index(g)]),
    (3, lambda g: ["LREM", g.key("l"), g.small(-2, 3), g.member()]),
    (4, lpos),
    (3, lambda g: ["LMOVE", g.key("l"), g.key("l"), end(g), end(g)]),
    (2, lambda g: ["RPOPLPUSH", g.key("l"), g.key("l")]),
    (2, lambda g: ["LMPOP"] + mpop(g)),
]

WAITING = [
    (2, lambda g: [g.pick(["BLPOP", "BRPOP"])] + g.some(lambda: g.key("l"), 1, 3) + [TIMEOUT]),
    (1, lambda g: ["BLMOVE", g.key("l"), g.key("l"), end(g), end(g), TIMEOUT]),
    (1, lambda g: ["BRPOPLPUSH", g.key("l"), g.key("l"), TIMEOUT]),
    (1, lambda g: ["BLMPOP", TIMEOUT] + mpop(g)),
]


def lists(gen, length):
    """All commands, and some that would wait: at once, for a moment, and inside MULTI."""
    steps = typed(GRAMMAR)(gen, length - length // 4)
    for _ in range(length // 20):
        steps += commands(gen, GRAMMAR + WAITING, gen.rng.randint(1, 3))
        if gen.chance(0.5):
            steps += [command(0, "MULTI")] + commands(gen, WAITING, gen.rng.randint(1, 3)) + [command(0, "EXEC")]
    return steps


def long_ones(gen, length):
    """Lists of many nodes, changed in the middle and at both ends, and elements larger than a node."""
    steps = [command(0, "CONFIG", "SET", "list-max-listpack-size", gen.pick(["-2", "-1", "4", "128"]))]
    for _ in range(max(length // 8, 4)):
        value = gen.pick(["", "x", "value", "y" * 100, "z" * 127, "z" * 128, "w" * 3000, "v" * 9000, "u" * 17000])
        count = gen.pick([1, 10, 50]) if len(value) > 1000 else gen.pick([1, 40, 300])
        many = [value + str(n % 7) for n in range(count)]
        at = str(gen.rng.randint(-400, 400))
        steps.append(command(0, *gen.pick([
            [gen.pick(["LPUSH", "RPUSH"]), "l1"] + many, [gen.pick(["LPUSH", "RPUSH"]), "l1"] + many,
            ["LINSERT", "l1", gen.pick(["BEFORE", "AFTER"]), value + "3", many[0]],
            ["LSET", "l1", at, many[-1]], ["LREM", "l1", gen.pick(["0", "3", "-3", "20"]), value + "1"],
            ["LTRIM", "l1", str(gen.rng.randint(0, 30)), str(gen.rng.randint(-30, -1))],
            [gen.pick(["LPOP", "RPOP"]), "l1", str(gen.rng.randint(0, 60))],
            ["LMOVE", "l1", gen.pick(["l1", "l2"]), gen.pick(["LEFT", "RIGHT"]), gen.pick(["LEFT", "RIGHT"])],
            ["COPY", "l1", "l2", "REPLACE"], ["RENAME", "l2", "l1"]])))
        steps += [command(0, "LLEN", "l1"), command(0, "LINDEX", "l1", at),
                  command(0, "LPOS", "l1", value + "2", "RANK", gen.pick(["2", "-2"]), "COUNT", "3")]
        if gen.chance(0.2):
            steps.append(command(0, "LRANGE", "l1", "0", "-1"))
    return steps + [command(0, "LRANGE", "l1", "0", "-1"), command(0, "LRANGE", "l2", "0", "-1")]


# ---- Waiting ----

LISTS = ["l1", "l2", "l3"]


def timeout(g):
    return g.pick(["0", "300", "250.5", "0x200"]) if g.chance(0.94) else g.pick(["x", "-1", "", "nan", "-0.5"])


def waiting(g, key):
    """A command that waits for `key`, and perhaps for others. (Nothing is moved to a key for which
    somebody waits among others, see feeding().)"""
    onward = [key, "l4", "l5", "s1"]
    keys = [key] + (g.some(lambda: g.pick(LISTS), 0, 2) if key in LISTS else [])
    r = g.rng.random()
    if r < 0.4:
        return [g.pick(["BLPOP", "BRPOP"])] + keys + [timeout(g)]
    if r < 0.6:
        return ["BLMOVE", key, g.pick(onward), end(g), end(g), timeout(g)]
    if r < 0.7:
        return ["BRPOPLPUSH", key, g.pick(onward), timeout(g)]
    return ["BLMPOP", timeout(g), str(len(keys))] + keys + [end(g)] + g.maybe(0.5, "COUNT", g.pick(["1", "2", "10"]))


def feeding(g):
    """What gives one list something, or nothing after all. (Only one: which of several is served
    first is another matter in 7.0 than in 7.2, see tests/written.)"""
    key = g.pick(LISTS + ["l4"])
    way = g.rng.randint(0, 9)
    if way < 4:
        return [command(0, g.pick(["LPUSH", "RPUSH"]), key, *g.some(g.member, 1, 4))]
    if way == 4:
        inside = g.pick([[["DEL", key]], [["LPOP", key]], [["RPUSH", key, "y"]], [["LSET", key, "0", "z"]], [],
                         [["DEL", key], ["SET", key, "x"], ["DEL", key], ["RPUSH", key, "again"]]])
        return [command(0, *c) for c in [["MULTI"], ["RPUSH", key, "x"]] + inside + [["EXEC"]]]
    if way == 5:
        return [command(0, *c) for c in (["RPUSH", "feed", "f1", "f2"], [g.pick(["RENAME", "COPY"]), "feed", key],
                                         ["DEL", "feed"])]
    if way == 6:
        return [command(0, *c) for c in (["RPUSH", "feed", "f1"], ["LMOVE", "feed", key, "LEFT", end(g)])]
    if way == 7:  # l4 is waited for alone: a key of another type stops nobody from looking at others
        return [command(0, *c) for c in (["SET", "l4", "x"], ["DEL", "l4"], ["ZADD", "l4", "1", "m"], ["DEL", "l4"])]
    if way == 8:
        return [command(0, *c) for c in (["SELECT", "1"], ["RPUSH", key, "elsewhere"], ["DEL", key], ["SELECT", "0"])]
    return [command(0, "LPUSHX", key, "no"), command(0, "LREM", key, "0", "no")]


def release(waiters):
    """Whoever still waits is served, in the order they came."""
    steps = []
    for key in LISTS + ["l4"]:
        steps.append(command(0, "DEL", key))
    for _ in waiters:
        for key in LISTS + ["l4"]:
            steps += [command(0, "RPUSH", key, "m1", "m2"), command(0, "LRANGE", key, "0", "-1"),
                      command(0, "DEL", key, "l5")]
    return steps


def blocking(gen, length):
    """Clients that wait for an element, who is served by what, and what others hear of it."""
    steps = hello(gen) + hello(gen, 1) + hello(gen, 2) + hello(gen, 3)
    heard = gen.chance(0.5)
    if heard:
        steps += [command(0, "CONFIG", "SET", "notify-keyspace-events", "KEA"), token(4, "PSUBSCRIBE", "__key*__:*")]
    for _ in range(max(length // 14, 4)):
        steps += [command(0, "SET", "s1", "x"), command(0, "RPUSH", "l5", "there")] if gen.chance(0.5) else []
        waiters = list(range(1, gen.rng.randint(2, 4)))
        for conn in waiters:
            key = gen.pick(LISTS) if gen.chance(0.85) else "l4"
            steps.append(Step("send", conn, command(conn, *waiting(gen, key)).args))
        for _ in range(gen.rng.randint(1, 4)):
            steps += feeding(gen)
            steps += [token(4)] if heard else []
        steps += release(waiters) + [Step("recv", conn, []) for conn in waiters]
        steps += [token(4)] if heard else []
        steps += [command(0, "LRANGE", key, "0", "-1") for key in LISTS] + [command(0, "FLUSHALL")]
        steps += [token(4)] if heard else []
    return steps


def timeouts(gen, length):
    """Waits that end in vain, and what is waited for afterwards."""
    steps = hello(gen, 1) + hello(gen, 2)
    for _ in range(max(length // 60, 2)):
        for conn in (1, 2):
            args = draw(gen, WAITING, 0)
            steps.append(Step("send", conn, args))
        steps += [Step("recv", 1, []), Step("recv", 2, []), command(0, "RPUSH", "l1", "a"), command(0, "LLEN", "l1")]
    return steps


SEQUENCES = {"lists": lists, "longlists": long_ones, "listblocking": blocking, "listtimeouts": timeouts}
