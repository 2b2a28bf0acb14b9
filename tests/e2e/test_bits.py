"""Bits flipped and files cut in a small data directory, and then a start: it refuses and names file
and place, or comes back with a prefix of what was written and says what it cut. Never a crash, never
silence, never anything that was not written."""

import os
import random
import re
import shutil

import pytest

from support.resp import Connection, texts

WRITES = 70
VALUE = "%d:" + "v" * 20000  # so that they take two segments
SETTINGS = {"LEAT_JOURNAL_SEGMENT_BYTES": "1mb", "LEAT_SNAPSHOT_GROWTH_PERCENT": "0"}
REFUSED = re.compile(r"(journal-\d+\.log|snapshot-\d+\.snap), offset \d+")
SAID = re.compile(r"saved as torn-|torn-\d+|damaged|falling back|snapshot-\d+\.snap")


def write(conn, n):
    """Numbered writes: one string each, and what counts them in every family."""
    conn.send(b"")
    assert conn.call("MULTI")[0] == b"+"
    for args in (["SET", "n:%d" % n, VALUE % n], ["INCR", "count"], ["HSET", "hash", n, n],
                 ["SADD", "set", "m%d" % n], ["ZADD", "zset", n, "m%d" % n]):
        conn.call(*args)
    assert conn.call("EXEC")[0] == b"*"


def wholly_written(conn):
    """How many writes came back; fails when it is not a prefix, with all that belongs to it."""
    n = int(texts(conn.call("GET", "count")) or 0)
    assert texts(conn.call("DBSIZE")) == (n + 4 if n else 0)
    assert n <= WRITES
    for i in range(1, n + 1):
        assert texts(conn.call("GET", "n:%d" % i)) == (VALUE % i).encode(), i
    assert sorted(texts(conn.call("HVALS", "hash"))) == sorted(b"%d" % i for i in range(1, n + 1))
    assert set(texts(conn.call("SMEMBERS", "set"))) == {b"m%d" % i for i in range(1, n + 1)}
    assert texts(conn.call("ZRANGE", "zset", "0", "-1")) == [b"m%d" % i for i in range(1, n + 1)]
    return n


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    """Whole data directories to harm: of a server that was killed, of one that was stopped, one with
    two snapshots, and one whose journal ends in a segment that was used before."""
    from support.servers import Leat
    made = {}
    for kind in ("killed", "stopped", "snapshots", "recycled"):
        with Leat() as server:
            server.start("--sync", "always", env=SETTINGS)
            conn = Connection(server.port)
            if kind == "recycled":
                use_segments_again(conn, server.data)
            for n in range(1, WRITES + 1):
                write(conn, n)
                if kind == "snapshots" and n in (25, 50):
                    before = texts(conn.call("LASTSAVE"))
                    assert conn.call("BGSAVE")[0] == b"+"
                    wait_for_snapshot(conn, server.data, n // 25)
            if kind == "stopped":
                assert server.stop() == 0
            server.kill()
            made[kind] = str(tmp_path_factory.mktemp(kind) / "data")
            shutil.copytree(server.data, made[kind])
    return made


def use_segments_again(conn, data):
    """Until the segment written to is one that held something else before."""
    for cycle in range(3):
        for n in range(200):
            assert conn.call("SET", "churn", "%03d" % n * 7000)[0] == b"+"
        conn.call("DEL", "churn")
        assert conn.call("BGSAVE")[0] == b"+"
        wait_for_snapshot(conn, data, min(cycle + 1, 2))
    assert is_recycled(data)


def is_recycled(data):
    """Whether the last segment in use is; its header's flags tell (docs/format.md)."""
    flags = []
    for name in sorted(f for f in os.listdir(data) if f.startswith("journal-")):
        with open(os.path.join(data, name), "rb") as f:
            page = f.read(64)
        if page[:8] == b"leat-jrn" and not page[56] & 2:
            flags.append(page[56])
    return flags[-1] == 1


def wait_for_snapshot(conn, data, count):
    import time
    until = time.monotonic() + 10
    while len([f for f in os.listdir(data) if f.endswith(".snap")]) < count:
        assert time.monotonic() < until, os.listdir(data)
        time.sleep(0.02)
    while b"rdb_bgsave_in_progress:1" in texts(conn.call("INFO", "persistence")):
        time.sleep(0.02)


def is_read(data, name):
    """Whether a start reads this segment: not when it is unused, or a snapshot is newer than all in it."""
    first = {}
    for f in sorted(f for f in os.listdir(data) if f.startswith("journal-")):
        with open(os.path.join(data, f), "rb") as file:
            page = file.read(64)
        if page[:8] == b"leat-jrn" and not page[56] & 2:
            first[f] = int.from_bytes(page[32:40], "little")
    newest = max((int(f[9:29]) for f in os.listdir(data) if f.startswith("snapshot-")), default=0)
    begin = max((f for f in first if first[f] <= newest), default="")
    return name in first and name >= begin


def last_used(path):
    """The offset behind the last byte that is in use; 0 for a segment that is only prepared."""
    with open(path, "rb") as f:
        content = f.read()
    if content[:8] != b"leat-jrn" or content[56] == 0:
        return len(content.rstrip(b"\0"))
    at, epoch = 4096, content[24:32]
    while not content[56] & 2 and content[at:at + 4] == b"LB01" and content[at + 16:at + 24] == epoch:
        at += (64 + int.from_bytes(content[at + 48:at + 56], "little") + 7) // 8 * 8
    return 0 if content[56] & 2 else at


def harm(rng, data):
    """Does one thing to one file: (name, what, offset)."""
    name = rng.choice([f for f in sorted(os.listdir(data)) if f.endswith((".log", ".snap"))])
    path = os.path.join(data, name)
    size, used = os.path.getsize(path), last_used(path)
    what = rng.choice(["flip", "flip", "flip", "byte", "cut", "zeros", "gone"])
    place = rng.choice(["used", "used", "used", "head", "last", "anywhere"])
    at = {"used": lambda: rng.randrange(max(used, 1)), "head": lambda: rng.randrange(min(size, 200)),
          "last": lambda: max(0, used - 1 - rng.randrange(300)), "anywhere": lambda: rng.randrange(size)}[place]()
    if what == "gone":
        if rng.random() < 0.8:  # once in a while is enough
            what = "flip"
        else:
            os.unlink(path)
            return name, what, 0
    with open(path, "r+b") as f:
        f.seek(at)
        old = f.read(1)
        f.seek(at)
        if what == "flip":
            f.write(bytes([old[0] ^ 1 << rng.randrange(8)]))
        elif what == "byte":
            f.write(bytes([(old[0] + rng.randint(1, 255)) % 256]))
        elif what == "zeros":
            length = min(rng.choice([1, 64, 4096, 100000]), size - at)
            if not (f.read(length).strip(b"\0")):
                what = "nothing"
            f.seek(at)
            f.write(b"\0" * length)
        else:
            f.truncate(at)
    return name, what, at


def sizes(folder):
    """Of all files but the lock, which holds the process id of whoever tried last."""
    return {f: os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder) if f != "lock"}


@pytest.mark.parametrize("kind", ["killed", "stopped", "snapshots", "recycled"])
def test_harm_is_found_or_cut_and_said(directories, make_leat, torture, kind):
    samples = 500 if torture else 12
    outcomes = {"refused": 0, "cut": 0, "whole": 0}
    seed = os.environ.get("LEAT_SEED")
    for n in range(samples):
        case = seed or "%s/%d" % (kind, n)
        rng = random.Random(case)
        server = make_leat()
        shutil.copytree(directories[kind], server.data)
        done = harm(rng, server.data)
        read = is_read(directories[kind], done[0])
        if kind == "recycled":  # behind its end, bytes mean nothing
            read = read and done[2] < last_used(os.path.join(directories[kind], done[0]))
        before = sizes(server.data)
        try:
            server.start("--sync", "always", env=SETTINGS)
            there = wholly_written(Connection(server.port))
            log = server.log()
            assert server.stop() == 0
        except (RuntimeError, OSError):
            server.kill()
            log = server.log()
            assert server.process.returncode == 1, (case, done, server.process.returncode, log)
            assert REFUSED.search(log), (case, done, log)
            assert done[0] in log or done[1] in ("gone", "nothing") or kind in ("snapshots", "recycled"), (case, done, log)
            assert sizes(server.data) == before, (case, done)  # nothing was changed
            outcomes["refused"] += 1
            server.close()
            continue
        assert there <= WRITES, (case, done)
        if kind != "killed":  # a marker, or a snapshot, says that all was safe: no loss without a word
            assert there == WRITES or SAID.search(log), (case, done, there, log)
        if there < WRITES:
            assert re.search(r"saved as torn-", log), (case, done, there, log)
            # The unmarked last batch is the one place where damage passes for a torn write.
            assert there >= WRITES - 1 or done[1] in ("cut", "zeros", "gone"), (case, done, there, log)
            outcomes["cut"] += 1
        else:
            unread = not read or done[1] == "nothing"
            assert unread or SAID.search(log) or done[1] == "gone", (case, done, there, log)
            outcomes["whole"] += 1
        server.close()
    print(kind, outcomes)
    assert outcomes["refused"] >= samples // 6
