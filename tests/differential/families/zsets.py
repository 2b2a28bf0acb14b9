"""Sorted sets."""

from families import command, commands, hello, typed
from steps import Step

SCORES = ["0", "1", "2", "3", "-1", "1.5", "-0.5", "inf", "-inf", "+inf", "1e300", "0.1", "3.0", "-0", "1e-5",
          "12345678901234567890", "nan", "abc", "", "100", "10", "(1", "9007199254740993", "1e17", "1.0e21"]


def score(g):
    return g.pick(SCORES) if g.chance(0.35) else str(g.rng.randint(-3, 6))


def zadd(g):
    flags = g.some(lambda: g.case(g.pick(["NX", "XX", "GT", "LT", "CH"])), 1, 2) if g.chance(0.5) else []
    flags += g.maybe(0.12, g.case("INCR"))
    return ["ZADD", g.key("z")] + flags + g.some(lambda: [score(g), g.member()], 1, 1 if "INCR" in flags else 4)


def bound(g):
    return g.pick(["-inf", "+inf", "inf", "0", "1", "2", "3", "(1", "(2", "(0", "-1", "1.5", "(1.5", "(-inf", "(+inf",
                   "(", "((1", "abc", "", "nan", "(abc", "1e300", "[1"])


def lex(g):
    return g.pick(["-", "+", "[a", "(a", "[b", "(c", "[d", "(d", "[", "(", "a", "", "[aa", "-x", "+x", "[z", "(1", "[3"])


def lex_key(g):
    """Ranges of names mean something only where all scores are equal: keys of their own, all 0."""
    return g.own_key("y")


def rank(g):
    return g.pick(["0", "-1", "1", "2", "-2", "-3", "5", "100", "-100", g.small()])


def limit(g, p=0.35):
    return g.maybe(p, g.case("LIMIT"), g.small(-2, 4), g.small(-2, 5))


def keys_with_count(g, kinds="zzzt"):
    keys = g.some(lambda: g.key(g.pick(kinds)), 1, 3)
    return [str(len(keys)) if g.chance(0.93) else g.small(-1, 5)] + keys, len(keys)


def weights(g, count):
    out = []
    if g.chance(0.4):
        out += [g.case("WEIGHTS")] + [g.pick(["1", "2", "0", "-1", "0.5", "inf", "-inf", "nan", "x"] if g.chance(0.4)
                                             else ["1", "2", "3", "0.5"]) for _ in range(count)]
    if g.chance(0.4):
        out += [g.case("AGGREGATE"), g.case(g.pick(["SUM", "MIN", "MAX", "SUM", "AVG"]))]
    return out


def combine(g):
    name = g.pick(["ZUNION", "ZINTER", "ZDIFF"])
    keys, count = keys_with_count(g)
    return [name] + keys + (weights(g, count) if name != "ZDIFF" or g.chance(0.05) else []) \
        + g.maybe(0.6, g.case("WITHSCORES"))


def combine_store(g):
    name = g.pick(["ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE"])
    keys, count = keys_with_count(g)
    return [name, g.key("z")] + keys + (weights(g, count) if name != "ZDIFFSTORE" or g.chance(0.05) else []) \
        + g.maybe(0.03, "WITHSCORES")


def ranged(g):
    """A key and a range of it, as ZRANGE takes them."""
    by = g.pick(["", "", "BYSCORE", "BYLEX"])
    key = lex_key(g) if by == "BYLEX" else g.key("z")
    low, high = {"": rank, "BYSCORE": bound, "BYLEX": lex}[by](g), {"": rank, "BYSCORE": bound, "BYLEX": lex}[by](g)
    options = [o for o in ([by and g.case(by)], g.maybe(0.35, g.case("REV")), limit(g, 0.35 if by else 0.08))
               if o and o[0]]
    g.rng.shuffle(options)
    return [key, low, high] + [token for option in options for token in option]


def zmpop(g):
    keys, _ = keys_with_count(g)
    return ["ZMPOP"] + keys + [g.case(g.pick(["MIN", "MAX"]))] + g.maybe(0.5, g.case("COUNT"), g.small(-1, 4))


def zrandmember(g):
    args = ["ZRANDMEMBER", g.key("z")]
    if g.chance(0.7):
        args.append(g.small(-6, 8))
        args += g.maybe(0.5, g.case("WITHSCORES"))
    return args


GRAMMAR = [
    (8, zadd),
    (3, lambda g: ["ZADD", "y%d" % g.rng.randint(1, 5)] + g.some(lambda: ["0", g.member()], 1, 5)),
    (0.5, lambda g: ["ZREM", lex_key(g)] + g.some(g.member)),
    (0.1, lambda g: ["DEL", lex_key(g)]),
    (0.3, lambda g: ["SET", "y5", "x"]),
    (3, lambda g: ["ZINCRBY", g.key("z"), score(g), g.member()]),
    (2, lambda g: ["ZREM", g.key("z")] + g.some(g.member)),
    (2, lambda g: ["ZSCORE", g.key("z"), g.member()]),
    (2, lambda g: ["ZMSCORE", g.key("z")] + g.some(g.member)),
    (1, lambda g: ["ZCARD", g.key("z")]),
    (2, lambda g: ["ZCOUNT", g.key("z"), bound(g), bound(g)]),
    (2, lambda g: ["ZLEXCOUNT", lex_key(g), lex(g), lex(g)]),
    (2, lambda g: [g.pick(["ZRANK", "ZREVRANK"]), g.key("z"), g.member()]),
    (6, lambda g: ["ZRANGE"] + ranged(g) + g.maybe(0.5, g.case("WITHSCORES"))),
    (3, lambda g: ["ZRANGESTORE", g.key("z")] + ranged(g) + g.maybe(0.03, "WITHSCORES")),
    (2, lambda g: ["ZREVRANGE", g.key("z"), rank(g), rank(g)] + g.maybe(0.5, g.case("WITHSCORES"))),
    (3, lambda g: [g.pick(["ZRANGEBYSCORE", "ZREVRANGEBYSCORE"]), g.key("z"), bound(g), bound(g)]
     + g.maybe(0.5, g.case("WITHSCORES")) + limit(g)),
    (2, lambda g: [g.pick(["ZRANGEBYLEX", "ZREVRANGEBYLEX"]), lex_key(g), lex(g), lex(g)] + limit(g)),
    (1, lambda g: ["ZREMRANGEBYRANK", g.key("z"), rank(g), rank(g)]),
    (1, lambda g: ["ZREMRANGEBYSCORE", g.key("z"), bound(g), bound(g)]),
    (1, lambda g: ["ZREMRANGEBYLEX", lex_key(g), lex(g), lex(g)]),
    (4, combine),
    (4, combine_store),
    (2, lambda g: ["ZINTERCARD"] + keys_with_count(g)[0] + g.maybe(0.5, g.case("LIMIT"), g.small(-1, 4))),
    (2, lambda g: [g.pick(["ZPOPMIN", "ZPOPMAX"]), g.key("z")] + g.maybe(0.5, g.small(-1, 4))),
    (2, zmpop),
    (2, zrandmember),
    (1, lambda g: ["ZSCAN", g.key("z"), g.pick(["0", "0", "0", "x"])] + g.maybe(0.4, "MATCH", g.pattern())
     + g.maybe(0.4, "COUNT", g.small(0, 10))),
    (1, lambda g: ["SADD", g.key("t")] + g.some(g.member)),
]


def blocking(gen, length):
    """Clients that wait for a member, and who is served by what."""
    steps = hello(gen) + hello(gen, 1) + hello(gen, 2)
    for _ in range(max(length // 12, 4)):
        steps += [command(0, "DEL", "z1", "z2", "z3")] if gen.chance(0.7) else []
        waiters = [1] if gen.chance(0.5) else [1, 2]
        for conn in waiters:
            keys = gen.some(lambda: gen.key("z"), 1, 3)
            timeout = gen.pick(["0", "300", "250.5"]) if gen.chance(0.9) else gen.pick(["x", "-1", "", "nan"])
            if gen.chance(0.6):
                args = [gen.pick(["BZPOPMIN", "BZPOPMAX"])] + keys + [timeout]
            else:
                args = ["BZMPOP", timeout, str(len(keys))] + keys + [gen.pick(["MIN", "MAX"])] \
                    + gen.maybe(0.5, "COUNT", gen.pick(["1", "2", "10", "0"]))
            steps.append(Step("send", conn, command(conn, *args).args))
        steps += commands(gen, GRAMMAR, gen.rng.randint(1, 4), broken=0)
        if gen.chance(0.3):
            steps += [command(0, "MULTI"), command(0, "ZADD", "z1", "1", "a"),
                      command(0, gen.pick(["ZREM", "ZADD"]), "z1", *gen.pick([["a"], ["2", "b"]])),
                      command(0, "EXEC")] if steps[-1].args[-1] != b"a" else []
        # Whoever still waits is served now, in the order they came.
        for key in ("z1", "z2", "z3", "z4"):
            steps.append(command(0, "DEL", key))
        for key in ("z1", "z2", "z3", "z4", "", "nokey", b"\x00\xffbin", "s1", "h1", "t1", "l1"):
            for score_ in ("1", "2"):
                steps += [command(0, "DEL", key), command(0, "ZADD", key, score_, "m" + score_, "3", "n")]
        steps += [Step("recv", conn, []) for conn in waiters]
        steps += [command(0, "ZRANGE", "z1", "0", "-1", "WITHSCORES"), command(0, "FLUSHALL")]
    return steps


def is_level(step):
    """False for a ZADD that was broken so that it would give a key of lex_key() another score than 0."""
    args = step.args
    return step.name() != b"ZADD" or not bytes(args[1]).startswith(b"y") or set(args[2::2]) == {b"0"}


def zsets(gen, length):
    return [step for step in typed(GRAMMAR)(gen, length) if len(step.args) < 2 or is_level(step)]


SEQUENCES = {"blocking": blocking, "zsets": zsets}
