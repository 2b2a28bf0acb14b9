"""SCAN and its kin while the table grows and shrinks: what is there all the time is returned."""

import random

import pytest

from support.resp import Connection, encode, texts


def load(conn, commands):
    conn.send(b"".join(map(encode, commands)))
    for _ in commands:
        assert conn.read()[1][0] != b"-"


def scan(conn, command, width, between):
    """Everything returned from cursor 0 to the end; `between` runs after each step."""
    seen, cursor, steps = set(), b"0", 0
    while True:
        cursor, items = texts(conn.call(*command(cursor)))
        seen.update(items[::width])
        steps += 1
        assert steps < 100000
        if cursor == b"0":
            return seen, steps
        between(steps)


@pytest.mark.parametrize("kind", ["keys", "set", "hash", "zset"])
@pytest.mark.parametrize("way", ["grow", "shrink", "churn"])
def test_guarantee(shared_leat, kind, way):
    conn, rng = Connection(shared_leat.port, timeout=30), random.Random(7)
    conn.call("FLUSHALL")
    add = {"keys": lambda m: ["SET", m, "v"], "set": lambda m: ["SADD", "c", m],
           "hash": lambda m: ["HSET", "c", m, "v"], "zset": lambda m: ["ZADD", "c", rng.randint(0, 9), m]}[kind]
    drop = {"keys": lambda m: ["DEL", m], "set": lambda m: ["SREM", "c", m], "hash": lambda m: ["HDEL", "c", m],
            "zset": lambda m: ["ZREM", "c", m]}[kind]
    command = {"keys": lambda c: ["SCAN", c, "COUNT", "20"], "set": lambda c: ["SSCAN", "c", c, "COUNT", "20"],
               "hash": lambda c: ["HSCAN", "c", c, "COUNT", "20"], "zset": lambda c: ["ZSCAN", "c", c, "COUNT", "20"]}[kind]
    stay = {b"stay%d" % i for i in range(2000)}
    load(conn, [add(m) for m in stay])
    others = [b"other%d" % i for i in range(20000 if way == "shrink" else 2000)]
    if way != "grow":
        load(conn, [add(m) for m in others])

    def between(step):
        if way == "grow":
            load(conn, [add(b"more%d-%d" % (step, i)) for i in range(30)])
        elif way == "shrink" and others:
            load(conn, [drop(others.pop()) for _ in range(min(60, len(others)))])
        elif way == "churn":
            load(conn, [rng.choice([add, drop])(rng.choice(others)) for _ in range(20)])
    if way == "grow":  # otherwise it would never end
        grown = between

        def between(step):
            if step < 300:
                grown(step)
    seen, _ = scan(conn, command, 2 if kind in ("hash", "zset") else 1, between)
    assert not stay - seen
    assert all(m.startswith((b"stay", b"other", b"more")) or m == b"c" for m in seen)
