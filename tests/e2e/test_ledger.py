"""The ledger under harder conditions than a kill in the middle of the work: killed at any call to the
disk, while it starts and replays, while the policy changes, with segments that run out quickly.

Rounds are bounded; each names its seed when it fails (LEAT_SEED repeats it)."""

import os
import random
import re
import subprocess
import time

import pytest

from ledger import Writer, audit
from support.faults import Faults
from support.resp import Closed, Connection, encode, texts

# So that segments run out, and snapshots are made, within a second of writing.
SMALL = {"LEAT_JOURNAL_SEGMENT_BYTES": "1mb", "LEAT_SNAPSHOT_MIN_BYTES": "64kb"}


class Round:
    """One life of a server and what its writers know, from a start to the audit after a crash."""

    def __init__(self, server, oracle, seed, sync):
        self.server, self.oracle, self.seed, self.sync = server, oracle, seed, sync
        self.rng = random.Random(seed)
        self.writers = []
        self.faults = Faults(server.folder, under=server.data)

    def start(self, rules=""):
        self.server.start("--sync", self.sync, env=dict(self.faults.env(rules), **SMALL))

    def write(self):
        self.writers = [Writer(self.server.port, "w%d" % i, "%s/%d" % (self.seed, i)) for i in range(3)]
        for w in self.writers:
            w.start()

    def crash(self):
        self.server.kill()
        for w in self.writers:
            w.join(40)
            assert not w.is_alive() and w.failure is None, (self.seed, w.failure)

    def check(self):
        """Starts it and compares: all that was acknowledged, nothing that was never sent."""
        self.start()
        conn, oracle = Connection(self.server.port, timeout=30), Connection(self.oracle.port)
        problems = [p for p in (audit(conn, oracle, w) for w in self.writers) if p]
        assert not problems, "seed %s\n%s\n%s" % (self.seed, "\n".join(problems), self.server.log()[-3000:])
        strange = [k for k in texts(conn.call("KEYS", "*"))
                   if k.split(b":")[0] not in [w.mark.encode() for w in self.writers]]
        assert not strange, (self.seed, strange[:10])
        self.server.kill()
        return sum(w.acknowledged() for w in self.writers)


def rounds(torture, short, long):
    """So many numbers; or, where a seed is given, only that."""
    return range(long if torture else short)


def seed_of(*parts):
    return os.environ.get("LEAT_SEED") or "/".join(map(str, parts))


@pytest.mark.parametrize("sync", ["always", "everysec", "no"])
def test_killed_at_a_call_to_the_disk(make_leat, redis_server, torture, sync):
    """Just before some write, sync, rename ... of the journal, with whatever was under way."""
    acknowledged = 0
    server = make_leat()
    for n in rounds(torture, 2, 60):
        r = Round(server, redis_server, seed_of("call", sync, n), sync)
        r.start()
        r.write()
        time.sleep(r.rng.uniform(0, 0.2))
        r.faults.set("any nth=%d kill" % r.rng.randint(1, 200 if sync != "no" else 30))
        if r.rng.random() < 0.5:
            r.faults.set("any match=.%s nth=%d kill" % (r.rng.choice(["snap", "tmp"]), r.rng.randint(1, 12)))
            Connection(server.port).send(encode(["BGSAVE"]))
        try:
            server.process.wait(0.6)
        except subprocess.TimeoutExpired:
            pass  # it makes few calls: then killed from outside
        r.crash()
        acknowledged += r.check()
    assert acknowledged > 20


@pytest.mark.parametrize("sync", ["always", "everysec", "no"])
def test_transactions_are_whole(make_leat, sync):
    """Killed before the first, second, tenth write after EXEC was sent: all of it is there or nothing."""
    server = make_leat()
    faults = Faults(server.folder, under=server.data)
    kept = []
    for nth in (1, 2, 10):
        server.start("--sync", sync, env=faults.env())
        conn = Connection(server.port)
        conn.call("FLUSHALL")
        time.sleep(0.25)  # the idle marker is written: what comes now is the transaction
        faults.set("write match=journal- nth=%d kill" % nth)
        conn.send(encode(["MULTI"]) + b"".join(encode(["SET", "k%d" % n, "v" * 100]) for n in range(50)) + encode(["EXEC"]))
        try:
            while conn.read(0.5)[1][0] != b"*":
                pass
        except (Closed, ConnectionError, OSError):
            pass
        server.kill()
        server.start("--sync", sync)
        kept.append(texts(Connection(server.port).call("DBSIZE")))
        server.kill()
    assert set(kept) <= {0, 50}, kept
    assert kept[0] == 0 and kept[-1] == 50, kept  # or nothing was tested


@pytest.mark.parametrize("sync", ["always", "no"])
def test_killed_again_and_again_while_it_starts(make_leat, redis_server, torture, sync):
    """Recovery writes (it cuts, saves, syncs and prepares): a crash in it finds a journal again."""
    server = make_leat()
    for n in rounds(torture, 2, 40):
        r = Round(server, redis_server, seed_of("start", sync, n), sync)
        r.start()
        r.write()
        time.sleep(r.rng.uniform(0.05, 0.4))
        r.crash()
        for _ in range(r.rng.randint(2, 6)):
            try:
                if r.rng.random() < 0.5:
                    r.start("any nth=%d kill" % r.rng.randint(1, 25))
                else:
                    command = [server.binary, "serve", "--port", str(server.port), "--http", "0",
                               "--dir", server.data, "--sync", sync]
                    server.spawn(command)
                    time.sleep(r.rng.uniform(0, 0.15))
            except RuntimeError:
                pass  # killed before it was ready
            server.kill()
        r.check()


LARGE = 3000  # entries: more than one slice of a snapshot takes


def large_values(mark):
    """Commands that give a writer one large value of each kind, under names that it uses itself."""
    for at in range(0, LARGE, 500):
        names = ["%s-%06d" % (mark, n) for n in range(at, at + 500)]
        yield ["HSET", mark + ":h1"] + [w for n in names for w in (n, n)]
        yield ["SADD", mark + ":t1"] + names
        yield ["ZADD", mark + ":z1"] + [w for i, n in enumerate(names) for w in (i + at, n)]
        yield ["RPUSH", mark + ":l1"] + names
        yield ["APPEND", mark + ":s1", "x" * 20000]


@pytest.mark.parametrize("sync", ["no", "always"])
def test_snapshots_beside_writers(make_leat, redis_server, torture, sync):
    """Snapshot after snapshot of a keyspace that takes many slices to walk, while it changes under the
    walk; the start is from one of them."""
    for n in rounds(torture, 1, 25):
        server = make_leat()
        r = Round(server, redis_server, seed_of("snapshots", sync, n), "no")
        r.start()
        conn, oracle = Connection(server.port, timeout=30), Connection(redis_server.port)
        oracle.call("FLUSHALL")
        for at in range(0, 20000, 1000):
            conn.call("MSET", *[w for i in range(at, at + 1000) for w in ("fill:%d" % i, i)])
        for mark in ("w0", "w1", "w2"):
            for args in large_values(mark):
                assert conn.call(*args) == oracle.call(*args)
        conn.call("CONFIG", "SET", "sync", sync)
        r.write()
        until, made = time.monotonic() + r.rng.uniform(0.5, 1.5), 0
        while time.monotonic() < until:
            made += conn.call("BGSAVE")[0] == b"+"
            time.sleep(r.rng.uniform(0, 0.02))
        r.crash()
        r.start()
        conn = Connection(server.port, timeout=30)
        assert made and re.search(rb"recovery_snapshot_records:[1-9]", texts(conn.call("INFO", "persistence"))), r.seed
        fill = conn.call("MGET", *["fill:%d" % i for i in range(20000)])
        assert texts(fill) == [b"%d" % i for i in range(20000)], r.seed
        problems = [p for p in (audit(conn, oracle, w) for w in r.writers) if p]
        assert not problems, "seed %s\n%s" % (r.seed, "\n".join(problems)[:6000])
        server.close()


def test_policy_changes_while_writing(make_leat, redis_server, torture):
    """A reply under `always` is on disk, one under `no` is in the file, whichever came before."""
    server = make_leat()
    for n in rounds(torture, 2, 30):
        r = Round(server, redis_server, seed_of("policy", n), "always")
        r.start()
        r.write()
        conn = Connection(server.port)
        until = time.monotonic() + r.rng.uniform(0.1, 0.6)
        while time.monotonic() < until:
            assert conn.call("CONFIG", "SET", "sync", r.rng.choice(["always", "everysec", "no"])) == (b"+", b"OK")
            time.sleep(r.rng.uniform(0, 0.02))
        r.crash()
        r.check()


def test_nobody_was_shown_what_is_gone(make_leat, torture):
    """Readers of what others write, and hearers of it: the last they saw is there after the crash."""
    server = make_leat()
    faults = Faults(server.folder, under=server.data)
    for n in rounds(torture, 3, 40):
        rng = random.Random(seed_of("shown", n))
        server.start("--sync", "always", env=faults.env("write match=journal- delay_ms=3"))
        writer, reader, hearer = (Connection(server.port) for _ in range(3))
        start = int(texts(reader.call("GET", "count")) or 0)
        hearer.call("SUBSCRIBE", "news")
        server_dies = time.monotonic() + rng.uniform(0.05, 0.3)
        seen = heard = start
        sent = start
        while time.monotonic() < server_dies:
            sent += 1
            writer.send(b"INCR count\r\nPUBLISH news %d\r\n" % sent)
            seen = max(seen, int(texts(reader.call("GET", "count")) or 0))
            assert seen <= sent
        server.kill()
        try:
            while True:
                heard = max(heard, int(texts(hearer.read(1)[1])[2]))
        except (Closed, ConnectionError):
            pass
        server.start("--sync", "always", env=faults.env())
        there = int(texts(Connection(server.port).call("GET", "count")) or 0)
        assert max(seen, heard) <= there <= sent, (n, seen, heard, there, sent)
        assert seen > start
        server.kill()
