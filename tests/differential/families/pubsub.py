"""Publish and subscribe over several connections: order and exact bytes of what is pushed."""

from families import hello
from families.connection import token
from steps import Step

CHANNELS = ["news", "new", "n", "", "a b", "news.1", "news.2", "ch\u00e9", "x"]
PATTERNS = ["*", "n*", "news.?", "new[s]", "[", "", "x", "news*", "\\*"]


def step(gen, conn):
    channels = gen.some(lambda: gen.pick(CHANNELS), 1, 3)
    patterns = gen.some(lambda: gen.pick(PATTERNS), 1, 2)
    return token(conn, *gen.pick([
        ["SUBSCRIBE"] + channels, ["SUBSCRIBE"] + channels, ["PSUBSCRIBE"] + patterns,
        ["UNSUBSCRIBE"] + channels, ["PUNSUBSCRIBE"] + patterns,
        ["SSUBSCRIBE"] + channels, ["SUNSUBSCRIBE"] + channels,
        gen.pick([["UNSUBSCRIBE"], ["PUNSUBSCRIBE"], ["SUNSUBSCRIBE"], ["subscribe", "news"]]),
        gen.pick([["SUBSCRIBE"], ["PSUBSCRIBE"], ["SSUBSCRIBE"], ["SPUBLISH", "news", "mine"], ["GET", "s1"], ["SET", "s1", "x"], ["RESET"], ["PING"], ["PING", "x"],
                  ["PUBLISH", "news", "mine"], ["HELLO", "3"], ["HELLO", "2"], ["MULTI"], ["DISCARD"], ["nosuch"], ["SELECT", "1"],
                  ["CLIENT", "GETNAME"], ["ECHO", "x"]]),
    ]))


def publish(gen, conn):
    return token(conn, *gen.pick([
        ["PUBLISH", gen.pick(CHANNELS), gen.text()], ["PUBLISH", gen.pick(CHANNELS), gen.text()],
        ["PUBLISH", gen.pick(CHANNELS), gen.text()], ["PUBLISH", gen.pick(CHANNELS), gen.text()],
        ["SPUBLISH", gen.pick(CHANNELS), gen.text()], ["SPUBLISH", gen.pick(CHANNELS), gen.text()],
        ["PUBSUB", "SHARDNUMSUB"] + gen.some(lambda: gen.pick(CHANNELS)), ["SPUBLISH", "x"], ["PUBSUB", "SHARDCHANNELS", "none*"],
        ["PUBSUB", "SHARDCHANNELS", "a", "b"], ["PUBSUB", "CHANNELS", "a", "b"],
        ["PUBSUB", "NUMSUB"] + gen.some(lambda: gen.pick(CHANNELS)), ["PUBSUB", "NUMPAT"], ["PUBLISH", "x"],
        ["PUBSUB", "CHANNELS", "none*"], ["PUBLISH", "a", "b", "c"]]))


def sequence(gen, length):
    steps = [s for conn in (0, 1, 2) for s in hello(gen, conn)]
    in_multi = set()
    for _ in range(length // 5):
        if gen.chance(0.45):
            steps.append(publish(gen, 3))
            # Everybody reads what has come before anything else happens.
            steps += [token(conn) for conn in (0, 1, 2)]
            continue
        conn = gen.pick([0, 1, 2])
        chosen = step(gen, conn)
        if chosen.name() == b"MULTI":
            # Inside a transaction only what answers QUEUED at once; the token would be queued too.
            steps.append(Step("raw", conn, [b"MULTI\r\nPUBLISH news tx\r\nSSUBSCRIBE x\r\nSPUBLISH x ts\r\nPUBLISH x tx2\r\nEXEC\r\n"]))
            steps += [token(c) for c in (0, 1, 2)]
            continue
        steps.append(chosen)
        if chosen.name() == b"PUBLISH":
            steps += [token(c) for c in (0, 1, 2)]
    return steps


def flood(gen, length):
    """Many messages of all sizes in one go; each subscriber reads them afterwards."""
    steps = [s for conn in (0, 1) for s in hello(gen, conn)]
    steps += [token(0, "SUBSCRIBE", "news", "x"), token(1, "PSUBSCRIBE", "n*"), token(1, "SUBSCRIBE", "x")]
    for _ in range(3):
        data = b""
        for i in range(gen.rng.randint(20, 200)):
            body = b"m%d" % i + b"." * gen.pick([0, 1, 10, 100, 1000, 5000])
            channel = gen.pick([b"news", b"x", b"other"])
            data += b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(channel), channel, len(body), body)
        steps += [Step("raw", 3, [data]), token(0), token(1)]
    return steps


SEQUENCES = {"pubsub": sequence, "flood": flood}
