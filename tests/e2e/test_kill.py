"""kill -9 while clients write: every acknowledged write of every family is there afterwards."""

import os
import random
import time

import pytest

from ledger import Writer, audit
from support.resp import Connection, texts


def one_round(server, oracle, seed, writers_count, options):
    rng = random.Random(seed)
    server.start(*options)
    writers = [Writer(server.port, "w%d" % i, "%s/%d" % (seed, i)) for i in range(writers_count)]
    for w in writers:
        w.start()
    time.sleep(rng.uniform(0.05, 0.7))
    server.kill()
    for w in writers:
        w.join(40)
        assert not w.is_alive() and w.failure is None, w.failure
    server.start(*options)
    conn, oracle_conn = Connection(server.port, timeout=30), Connection(oracle.port)
    problems = [p for p in (audit(conn, oracle_conn, w) for w in writers) if p]
    assert not problems, "seed %s\n%s\n%s" % (seed, "\n".join(problems), server.log()[-2000:])
    server.kill()  # and again before anything new: recovery must survive a crash as well
    return sum(w.acknowledged() for w in writers)


@pytest.mark.parametrize("sync", ["always", "everysec", "no"])
def test_what_was_acknowledged_is_there(make_leat, redis_server, torture, sync):
    server = make_leat()
    seed = os.environ.get("LEAT_SEED") or "%s/1" % sync
    rounds = 60 if torture else 6
    total = sum(one_round(server, redis_server, "%s/%d" % (seed, n), 1 + n % 4, ["--sync", sync])
                for n in range(rounds))
    assert total > rounds * 20  # or nothing was tested
    server.start()


@pytest.mark.parametrize("sync", ["always", "no"])
def test_expiry_times_survive(make_leat, sync):
    server = make_leat().start("--sync", sync)
    conn = Connection(server.port)
    for args in (["SET", "a", "1", "EX", "1000"], ["SET", "b", "1", "PXAT", "4102444800123"],
                 ["HSET", "h", "f", "v"], ["PEXPIRE", "h", "500000"], ["SET", "c", "1", "PX", "300"],
                 ["SET", "d", "1", "EX", "100"], ["PERSIST", "d"]):
        conn.call(*args)
    keys = ["a", "b", "h", "d", "none"]
    before = [texts(conn.call("PEXPIRETIME", k)) for k in keys]
    assert before[1] == 4102444800123 and before[3:] == [-1, -2]
    server.kill()
    time.sleep(0.4)  # c runs out while nobody is there
    server.start("--sync", sync)
    conn = Connection(server.port)
    assert [texts(conn.call("PEXPIRETIME", k)) for k in keys] == before
    assert texts(conn.call("EXISTS", "c")) == 0
    assert texts(conn.call("DBSIZE")) == 4


def test_databases_and_whole_keyspace_commands_survive(make_leat):
    server = make_leat().start("--sync", "always")
    conn = Connection(server.port)
    for args in (["SET", "a", "0"], ["SELECT", "3"], ["SET", "a", "3"], ["SET", "gone", "x"], ["MOVE", "gone", "4"],
                 ["SWAPDB", "3", "5"], ["SELECT", "15"], ["SET", "x", "15"], ["FLUSHDB"], ["SET", "y", "15"],
                 ["COPY", "y", "z", "DB", "7"]):
        assert conn.call(*args)[0] != b"-", args
    server.kill()
    server.start("--sync", "always")
    conn = Connection(server.port)
    want = {0: {b"a": b"0"}, 4: {b"gone": b"x"}, 5: {b"a": b"3"}, 7: {b"z": b"15"}, 15: {b"y": b"15"}}
    for db in range(16):
        conn.call("SELECT", db)
        keys = texts(conn.call("KEYS", "*"))
        assert {k: texts(conn.call("GET", k)) for k in keys} == want.get(db, {}), db
    conn.call("FLUSHALL")
    server.kill()
    server.start("--sync", "always")
    assert texts(Connection(server.port).call("DBSIZE")) == 0
