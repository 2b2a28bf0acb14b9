"""`leat verify` names every place that was harmed, and nothing in a whole directory; `leat salvage`
makes a directory from it on which a server starts, with all that came before the damage, and with
everything where a snapshot makes up for it. Neither changes what it reads."""

import hashlib
import json
import os
import pty
import random
import re
import select
import shutil
import struct
import subprocess

import pytest

from support.resp import Connection, encode, texts
from support.servers import leat_binary
from test_bits import SETTINGS, VALUE, WRITES, directories, last_used, wait_for_snapshot, wholly_written  # noqa: F401

HEADER = 4096


def leat(*args):
    done = subprocess.run([leat_binary()] + list(args), capture_output=True, text=True, timeout=60)
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def verify(data):
    code, out, err = leat("verify", data, "--json")
    assert err == ""
    said = json.loads(out)
    damages = [f for f in said["findings"] if f["kind"] == "damage"]
    assert code == (1 if damages else 0) and said["whole"] == (not damages)
    return said, damages


def fingerprint(folder):
    made = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as f:
            made[name] = hashlib.sha256(f.read()).hexdigest()
    return made


def batches(data):
    """(file, offset, bytes, position, records) of all batches of a whole directory, in order."""
    for name in sorted(f for f in os.listdir(data) if f.startswith("journal-")):
        with open(os.path.join(data, name), "rb") as f:
            content = f.read()
        epoch, at = int(name[8:20]), HEADER
        while content[at:at + 4] == b"LB01" and struct.unpack_from("<Q", content, at + 16)[0] == epoch:
            position, _, _, length, records = struct.unpack_from("<QQQQI", content, at + 24)
            size = (64 + length + 7) // 8 * 8
            yield name, at, size, position, records
            at += size


def flip(data, name, at, bit=0):
    with open(os.path.join(data, name), "r+b") as f:
        f.seek(at)
        old = f.read(1)[0]
        f.seek(at)
        f.write(bytes([old ^ 1 << bit]))


def newest_snapshot(data):
    """Its position, or -1."""
    return max((int(f[9:29]) for f in os.listdir(data) if f.startswith("snapshot-")), default=-1)


def writes_before(data, name, at):
    """How many of the numbered writes, which come last, lie before the place; and its position."""
    found = list(batches(data))
    for i, (file, offset, size, position, _) in enumerate(found):
        if file == name and offset <= at < offset + size:
            return WRITES - sum(b[4] > 0 for b in found[i:]), position
    return None, None


def covers(finding, name, at):
    return (finding["file"] == name and finding["offset"] <= at and
            (finding["length"] == 0 or at < finding["offset"] + finding["length"]))


@pytest.fixture
def copy(directories, tmp_path):  # noqa: F811
    def make(kind):
        into = str(tmp_path / ("copy%d" % len(os.listdir(str(tmp_path)))))
        shutil.copytree(directories[kind], into)
        return into
    return make


@pytest.mark.parametrize("kind", ["killed", "stopped", "snapshots", "recycled"])
def test_a_whole_directory(copy, kind):
    data = copy(kind)
    before = fingerprint(data)
    said, damages = verify(data)
    assert not said["findings"], said
    found = list(batches(data))
    assert said["batches"] == len(found)
    assert said["records"] == sum(b[4] for b in found)
    assert len(said["snapshots"]) == (2 if kind in ("snapshots", "recycled") else 0)
    code, out, _ = leat("verify", data)
    assert code == 0 and "whole: there is no damage" in out
    assert fingerprint(data) == before


def places(rng, data, name):
    """Offsets in a file that hold something, of every part of it."""
    used = last_used(os.path.join(data, name))
    yield from (0, 9, 17, 30, 45, HEADER, HEADER + 5, HEADER + 40, used - 1, used - 30)
    for _ in range(4):
        yield rng.randrange(HEADER, used)


@pytest.mark.parametrize("kind", ["snapshots", "recycled"])
def test_each_flip_is_named(copy, kind):
    rng = random.Random("flips")
    data = copy(kind)
    for name in sorted(f for f in os.listdir(data) if f.endswith((".log", ".snap"))):
        if last_used(os.path.join(data, name)) <= HEADER:
            continue  # prepared, not in use
        for at in places(rng, data, name):
            bit = rng.randrange(8)
            flip(data, name, at, bit)
            said, damages = verify(data)
            assert any(covers(f, name, at) for f in said["findings"]), (name, at, bit, said["findings"])
            assert all(f["file"] == name for f in said["findings"]), (name, at, bit, said["findings"])
            # The very last batch may pass for a torn write when no marker or snapshot follows.
            if name.endswith(".snap") or at < HEADER or at < last_used(os.path.join(data, name)) - 100:
                assert damages, (name, at, bit, said["findings"])
            flip(data, name, at, bit)
    assert not verify(data)[0]["findings"]


def test_all_of_many_damages(copy):
    """In every file at once, two in each, far apart: all are named."""
    data = copy("snapshots")
    harmed = []
    for name in sorted(f for f in os.listdir(data) if f.endswith((".log", ".snap"))):
        used = last_used(os.path.join(data, name))
        if used > HEADER:
            harmed += [(name, HEADER + 100), (name, used // 2)]
    assert len(harmed) >= 6
    for name, at in harmed:
        flip(data, name, at)
    damages = verify(data)[1]
    for name, at in harmed:
        assert any(covers(f, name, at) for f in damages), (name, at, damages)
    code, out, _ = leat("verify", data)
    assert code == 1
    for name, at in harmed:
        assert name in out


def test_files_cut_and_gone(copy):
    for what in ("cut", "gone"):
        data = copy("stopped")
        names = sorted(b[0] for b in batches(data))
        first = os.path.join(data, names[0])
        if what == "cut":
            os.truncate(first, os.path.getsize(first) // 2)
        else:
            os.unlink(first)
        damages = verify(data)[1]
        assert damages, what
        if what == "cut":
            assert any(f["file"] == names[0] for f in damages)


@pytest.mark.parametrize("kind", ["killed", "stopped", "snapshots", "recycled"])
def test_salvaged_and_started(copy, make_leat, torture, kind):
    """Whatever is flipped: what comes before is there; all is, where a snapshot is newer."""
    rng = random.Random(kind)
    outcomes = []
    for n in range(60 if torture else 7):
        data = copy(kind)
        name = rng.choice([f for f in sorted(os.listdir(data)) if f.endswith((".log", ".snap"))
                           and last_used(os.path.join(data, f)) > HEADER])
        at = rng.randrange(last_used(os.path.join(data, name)))
        if n == 0:
            name, at = [b[:2] for b in batches(data)][-20]
        before, position = writes_before(data, name, at)
        flip(data, name, at, rng.randrange(8))
        harmed = fingerprint(data)
        server = make_leat()
        code, out, err = leat("salvage", data, server.data)
        assert fingerprint(data) == harmed
        if before == 0 and kind in ("killed", "stopped"):  # nothing comes before the first
            assert code == 2 and "nothing can be saved" in err and not os.path.exists(server.data)
            continue
        assert code in (0, 1), (name, at, out, err)
        said = verify(server.data)[0]
        assert not said["findings"], said
        server.start("--sync", "always", env=SETTINGS)
        there = wholly_written(Connection(server.port))
        expected = WRITES
        if position is not None and position >= newest_snapshot(data):
            expected = before
        assert there == expected, (name, at, position, out)
        if there == WRITES:
            assert "nothing is lost" in out, out
        else:
            assert name in out and "lost: what was written from there" in out, out
        # It goes on from there, and comes back once more.
        conn = Connection(server.port)
        assert conn.call("SET", "after", n)[0] == b"+"
        server.kill()
        server.start("--sync", "always", env=SETTINGS)
        assert texts(Connection(server.port).call("GET", "after")) == b"%d" % n
        outcomes.append(there)
        server.close()
    assert len(set(outcomes)) > (0 if kind in ("snapshots", "recycled") else 1)


def test_several_damages_salvaged(copy, make_leat):
    """Both snapshots and the journal behind them: up to the first damage from the beginning."""
    data = copy("snapshots")
    for name in sorted(f for f in os.listdir(data) if f.endswith(".snap")):
        flip(data, name, HEADER + 200)
    found = [b for b in batches(data) if b[4] > 0]
    flip(data, found[40][0], found[40][1] + 70)
    flip(data, found[60][0], found[60][1] + 70)
    server = make_leat()
    code, out, _ = leat("salvage", data, server.data)
    assert code == 1
    assert len(re.findall(r"journal-\d+\.log", out)) >= 2 and len(re.findall(r"snapshot-\d+\.snap", out)) >= 2
    server.start(env=SETTINGS)
    assert wholly_written(Connection(server.port)) == 40


def test_past_gaps(copy, make_leat):
    """What lies behind a damaged place, only when it is asked for: then each key that was written there
    is as it was, and nothing else of the broken batches is."""
    data = copy("stopped")
    found = [b for b in batches(data) if b[4] > 0]
    for n in (20, 50):  # the writes 21 and 51
        flip(data, found[n][0], found[n][1] + 70)
    server = make_leat()
    assert leat("salvage", data, server.data)[0] == 1
    server.start(env=SETTINGS)
    assert wholly_written(Connection(server.port)) == 20
    server.close()
    server = make_leat()
    code, out, _ = leat("salvage", "--past-gaps", data, server.data)
    assert code == 1 and "in 2 gaps" in out and "no state that was ever there" in out, out
    assert not verify(server.data)[0]["findings"]
    for _ in range(2):  # the second start is from what the first has written
        server.start("--sync", "always", env=SETTINGS)
        conn = Connection(server.port)
        there = [i for i in range(1, WRITES + 1) if i not in (21, 51)]
        assert texts(conn.call("GET", "count")) == b"%d" % WRITES
        assert texts(conn.call("DBSIZE")) == len(there) + 4
        for i in there:
            assert texts(conn.call("GET", "n:%d" % i)) == (VALUE % i).encode(), i
        assert texts(conn.call("ZRANGE", "zset", "0", "-1")) == [b"m%d" % i for i in there]
        assert conn.call("SAVE")[0] == b"+"
        server.stop()


def test_keys_with_nothing_in_them(make_leat):
    """What was added is missing, what was removed is not: a key that ends up empty is none."""
    server = make_leat()
    server.start("--sync", "always", env=SETTINGS)
    conn = Connection(server.port)
    added = [["HSET", "h", "a", 1], ["SADD", "s", "a"], ["ZADD", "z", 1, "a"], ["RPUSH", "l", "a"],
             ["XADD", "x", "1-1", "f", "v"]]
    missing = [["HSET", "h", "b", 2], ["SADD", "s", "b"], ["ZADD", "z", 2, "b"], ["RPUSH", "l", "b"],
               ["XADD", "x", "2-1", "f", "v"]]
    removed = [["HDEL", "h", "a"], ["SREM", "s", "a"], ["ZREM", "z", "a"], ["LREM", "l", 1, "a"],
               ["XDEL", "x", "1-1"]]
    for command in added + missing + removed:
        assert conn.call(*command)[0] in (b":", b"$"), command
    server.stop()
    found = [b for b in batches(server.data) if b[4] > 0]
    for n in range(len(added), len(added) + len(missing)):
        flip(server.data, found[n][0], found[n][1] + 64)
    saved = make_leat()
    assert leat("salvage", "--past-gaps", server.data, saved.data)[0] == 1
    for _ in range(2):
        saved.start(env=SETTINGS)
        conn = Connection(saved.port)
        left = sorted(texts(conn.call("KEYS", "*")))
        assert set(left) <= {b"l", b"x"} and b"x" in left, left  # a stream may be empty
        assert texts(conn.call("XLEN", "x")) == 0
        assert b"l" not in left or texts(conn.call("LLEN", "l")) > 0
        assert conn.call("SAVE")[0] == b"+"
        saved.stop()


def some_command(rng):
    """On few keys, so that changes meet; some of them are refused."""
    x, other, kind = rng.randrange(4), rng.randrange(4), rng.choice("slhzxk")
    n, key = rng.randrange(100), "%s%d" % (kind, x)
    group = ["g%d" % rng.randrange(2), "c%d" % rng.randrange(2)]
    return rng.choice({
        "s": [["SET", key, n], ["APPEND", key, n], ["SETRANGE", key, n, "x"], ["INCR", "count"],
              ["SET", key, n, "EX", 1000], ["EXPIRE", key, 2000], ["GETDEL", key]],
        "l": [["RPUSH", key, n, n + 1], ["LPUSH", key, n], ["RPOP", key], ["LPOP", key, 2], ["LSET", key, 1, n],
              ["LINSERT", key, "BEFORE", n, "new"], ["LREM", key, 1, n], ["LTRIM", key, 1, -2],
              ["LMOVE", key, "l%d" % other, "LEFT", "RIGHT"], ["EXPIRE", key, 2000]],
        "h": [["HSET", key, n % 9, n], ["HDEL", key, n % 9], ["HINCRBY", key, n % 9, 1], ["DEL", key]],
        "z": [["ZADD", key, n, n % 9], ["ZREM", key, n % 9], ["ZPOPMIN", key], ["SADD", "m%d" % x, n % 9],
              ["SREM", "m%d" % x, n % 9], ["SPOP", "m%d" % x], ["SMOVE", "m%d" % x, "m%d" % other, n % 9]],
        "x": [["XADD", key, "*", "f", "v" * n], ["XADD", key, "*", "f", n], ["XTRIM", key, "MAXLEN", 5],
              ["XGROUP", "CREATE", key, group[0], "0", "MKSTREAM"], ["XGROUP", "DESTROY", key, group[0]],
              ["XREADGROUP", "GROUP", *group, "COUNT", 3, "STREAMS", key, ">"],
              ["XREADGROUP", "GROUP", *group, "COUNT", 3, "STREAMS", key, ">"],
              ["XAUTOCLAIM", key, *group, 0, "0", "COUNT", 2], ["XGROUP", "DELCONSUMER", key, *group],
              ["XSETID", key, "9999999999999-%d" % n], ["XGROUP", "SETID", key, group[0], "$"]],
        "k": [["RENAME", rng.choice("lhzx") + "%d" % x, rng.choice("lhzx") + "%d" % other], ["DEL", "x%d" % x],
              ["COPY", "x%d" % x, "x%d" % other, "REPLACE"], ["COPY", "l%d" % x, "l%d" % other, "REPLACE"],
              ["SWAPDB", 0, 1], ["FLUSHDB"]] if rng.random() < 0.1 else [["TOUCH", key]],
    }[kind])


def everything(conn):
    """All keys of both databases, as the commands that read them tell of them."""
    readers = {b"string": ["GET"], b"list": ["LRANGE", 0, -1], b"hash": ["HGETALL"], b"set": ["SMEMBERS"],
               b"zset": ["ZRANGE", 0, -1, "WITHSCORES"], b"stream": ["XRANGE", "-", "+"]}
    made = []
    for db in (0, 1):
        assert conn.call("SELECT", db)[0] == b"+"
        for key in sorted(texts(conn.call("KEYS", "*"))):
            kind = texts(conn.call("TYPE", key))
            name, *args = readers[kind]
            value = texts(conn.call(name, key, *args))
            made.append((db, key, kind, sorted(value) if kind == b"set" else value))
            if kind == b"stream":
                full = texts(conn.call("XINFO", "STREAM", key, "FULL", "COUNT", 0))
                made.append([full[i:i + 2] for i in range(0, len(full), 2) if full[i] in (b"length", b"last-generated-id")])
                for group in texts(conn.call("XINFO", "GROUPS", key)):
                    made.append((group[1], texts(conn.call("XPENDING", key, group[1]))))
    return made


def test_whatever_is_missing(make_leat, torture, tmp_path):
    """Broken in many places: what is taken past the gaps is something that a server starts on, serves,
    saves, and comes back with."""
    for seed in range(40 if torture else 4):
        rng = random.Random(seed)
        server = make_leat()
        server.start("--sync", "no", env=SETTINGS)
        conn = Connection(server.port)
        saved_at = rng.randrange(600)
        for n in range(600):
            conn.call(*some_command(rng))
            if n == saved_at:
                assert conn.call("SAVE")[0] == b"+"
        server.kill()
        for name, at, *_ in rng.sample([b for b in batches(server.data) if b[4] > 0], 40):
            flip(server.data, name, at + 64)
        saved = make_leat()
        code, out, err = leat("salvage", "--past-gaps", server.data, saved.data)
        assert code == 1 and ("gap" in out or "nothing is lost" in out), (seed, out, err)
        saved.start(env=SETTINGS)
        conn = Connection(saved.port)
        before = everything(conn)
        for _ in range(100):
            conn.call(*some_command(rng))
        before = everything(conn)
        for how in (saved.stop, saved.kill):
            how()
            saved.start(env=SETTINGS)
            conn = Connection(saved.port)
            assert everything(conn) == before, seed
            assert conn.call("SAVE")[0] == b"+"
        saved.close()
        server.close()


@pytest.fixture(scope="module")
def streams(tmp_path_factory):
    """A directory whose snapshots refer to chunks of three streams."""
    from support.servers import Leat
    with Leat() as server:
        server.start("--sync", "no")
        conn = Connection(server.port)
        for n in range(6000):
            conn.send(encode(["XADD", "s%d" % (n % 3), "%d-1" % (n + 1), "f", "value-%d" % n * 20]))
        for n in range(6000):
            conn.read()
        assert conn.call("BGSAVE")[0] == b"+"
        wait_for_snapshot(conn, server.data, 1)
        assert conn.call("XADD", "s0", "10000-1", "f", "after")[0] == b"$"
        server.stop()
        into = str(tmp_path_factory.mktemp("streams") / "data")
        shutil.copytree(server.data, into)
    return into


def readable(port):
    """How many entries of each stream can be read; -1 where a damaged chunk is in the way."""
    conn, counts = Connection(port), []
    for name in ("s0", "s1", "s2"):
        entries = texts(conn.call("XRANGE", name, "-", "+"))
        counts.append(len(entries) if isinstance(entries, list) else -1)
    return counts


def test_chunks(streams, make_leat, tmp_path):
    data = str(tmp_path / "data")
    shutil.copytree(streams, data)
    assert not verify(data)[0]["findings"]
    name = next(f for f in sorted(os.listdir(data)) if f.startswith("chunks-"))
    size = os.path.getsize(os.path.join(data, name))
    assert size > 100000
    rng = random.Random(3)
    for _ in range(30):
        at = rng.randrange(HEADER, size)
        flip(data, name, at)
        said, damages = verify(data)
        with open(os.path.join(data, name), "rb") as f:
            padding = f.read()[at] == 1  # of a chunk, up to a multiple of 8
        assert padding or any(covers(f, name, at) for f in said["findings"]), (at, said)
        flip(data, name, at)
    for at in (HEADER + 5, HEADER + 300):  # a chunk's own header, which nobody needs; its bytes
        flip(data, name, at)
    damages = verify(data)[1]
    assert [f["offset"] for f in damages] == [HEADER]
    # The journal is whole from its beginning: everything is there. Then it is not.
    server = make_leat()
    assert leat("salvage", data, server.data)[0] == 1
    server.start()
    assert readable(server.port) == [2001, 2000, 2000]
    flip(data, next(b[0] for b in batches(data)), HEADER + 100)
    server = make_leat()
    code, out, _ = leat("salvage", data, server.data)
    assert code == 1 and "of which 1 are damaged" in out and "nothing is lost: that" in out, out
    server.start()
    counts = readable(server.port)
    assert sorted(counts)[0] == -1 and sorted(c for c in counts if c > 0) in ([2000, 2000], [2000, 2001]), counts


def test_a_chunk_file_is_gone(streams, make_leat, tmp_path):
    """The journal from the beginning tells of all, or the server starts with holes."""
    data = str(tmp_path / "data")
    shutil.copytree(streams, data)
    for name in [f for f in os.listdir(data) if f.startswith("chunks-")]:
        os.unlink(os.path.join(data, name))
    assert all(f["file"].startswith("chunks-") for f in verify(data)[1]) and verify(data)[1]
    server = make_leat()
    code, out, _ = leat("salvage", data, server.data)
    assert code == 1
    server.start()
    assert readable(server.port) == [2001, 2000, 2000], out


def blocks(path):
    """(offset, bytes) of the blocks of a snapshot but for the end mark."""
    with open(path, "rb") as f:
        content = f.read()
    at, found = HEADER, []
    while content[at:at + 4] == b"LS01":
        length, _, flags = struct.unpack_from("<QII", content, at + 16)
        size = (32 + length + 7) // 8 * 8
        if not flags & 1:
            found.append((at, size))
        at += size
    return found


def test_parts_of_a_snapshot_of_everything(make_leat, tmp_path):
    """Whichever block of a snapshot is lost, though a value, its expiry or its groups go on behind it:
    a server starts on the others, and has what is in them."""
    server = make_leat()
    server.start("--sync", "no")
    conn = Connection(server.port)
    for n in range(10):
        commands = [["SET", "s%d:%d" % (n, i), "v" * 100, "EX", "10000"] for i in range(300)]
        commands += [["XADD", "x%d" % n, "%d-1" % (i + 1), "f", "value-%d" % i * 20] for i in range(700)]
        commands += [["XGROUP", "CREATE", "x%d" % n, "g", "0"],
                     ["XREADGROUP", "GROUP", "g", "c", "COUNT", "600", "STREAMS", "x%d" % n, ">"]]
        commands += [["RPUSH", "l%d" % n] + ["e" * 50] * 2000, ["EXPIRE", "l%d" % n, "10000"]]
        commands += [["HSET", "h%d" % n] + ["%d" % i for i in range(4000)]]
        for command in commands:
            conn.send(encode(command))
        for command in commands:
            assert conn.read()[0] != b"-", command
    assert conn.call("BGSAVE")[0] == b"+"
    wait_for_snapshot(conn, server.data, 1)
    server.stop()
    name = next(f for f in os.listdir(server.data) if f.endswith(".snap"))
    found = blocks(os.path.join(server.data, name))
    assert len(found) >= 6
    for at, size in found:
        data = str(tmp_path / ("data-%d" % at))
        shutil.copytree(server.data, data)
        flip(data, name, at + size // 2)
        flip(data, next(b[0] for b in batches(data)), HEADER + 100)
        saved = make_leat()
        code, out, err = leat("salvage", data, saved.data)
        assert code == 1 and "%d whole blocks" % (len(found) - 1) in out, (out, err)
        saved.start()
        there = Connection(saved.port)
        assert texts(there.call("DBSIZE")) > 10 * 302 // 2
        assert texts(there.call("PING")) == b"PONG"
        for n in range(10):
            assert isinstance(texts(there.call("XRANGE", "x%d" % n, "-", "+")), list)
        assert there.call("SAVE")[0] == b"+"
        saved.close()
        shutil.rmtree(data)


def test_refusals(copy, make_leat, tmp_path):
    data = copy("snapshots")
    full = tmp_path / "full"
    full.mkdir()
    (full / "something").write_text("of mine")
    cases = [
        (["verify"], "which DIR"), (["verify", str(tmp_path / "nowhere")], "nowhere"),
        (["verify", str(full)], "holds no journal"), (["verify", data, data], "one DIR"),
        (["salvage", data], "which OUT"), (["salvage", data, str(full)], "is not empty"),
        (["salvage", data, data], "not to be touched"), (["salvage", data, data + "/a/b"], "not to be touched"),
        (["salvage", str(full), str(tmp_path / "out")], "holds no journal"),
        (["verify", "--nonsense", data], "nonsense"),
    ]
    before = fingerprint(data)
    for args, words in cases:
        code, out, err = leat(*args)
        assert code == 2 and words in err, (args, code, out, err)
        assert out == ""
    assert fingerprint(data) == before and os.listdir(str(full)) == ["something"]
    for name in ("verify", "salvage"):
        code, out, _ = leat(name, "--help")
        assert code == 0 and "Examples:" in out and "Exit status" in out


def test_not_beside_a_server(make_leat, tmp_path):
    server = make_leat().start()
    Connection(server.port).call("SET", "a", "b")
    for args in (["verify", server.data], ["salvage", server.data, str(tmp_path / "out")]):
        code, _, err = leat(*args)
        assert code == 2 and "process %d" % server.process.pid in err and "stop" in err
    assert not os.path.exists(str(tmp_path / "out"))
    assert server.stop() == 0
    assert leat("verify", server.data)[0] == 0


def test_a_bar_on_a_terminal(copy):
    """Only there, and wiped at the end."""
    data = copy("stopped")
    name = next(b[0] for b in batches(data))
    with open(os.path.join(data, name.replace("000001", "999999")), "wb") as f:
        f.truncate(2 << 30)  # a hole: there is something to read for a while
    master, slave = pty.openpty()
    process = subprocess.Popen([leat_binary(), "verify", data], stdout=subprocess.PIPE, stderr=slave)
    os.close(slave)
    shown = b""
    while process.poll() is None or select.select([master], [], [], 0.1)[0]:
        try:
            shown += os.read(master, 65536) if select.select([master], [], [], 0.1)[0] else b""
        except OSError:  # the other end is closed
            break
    os.close(master)
    assert re.search(rb"\rverify \[#*\.*\] +\d+ %  [\d.]+ [MG]B of 2\.0 GB", shown), shown
    assert shown.endswith(b"\r\x1b[K")
    assert b"\r" not in process.stdout.read()


def test_the_start_names_the_remedy(copy, make_leat):
    data = copy("stopped")
    name, offset = [b[:2] for b in batches(data)][10]
    flip(data, name, offset + 20)
    server = make_leat()
    shutil.copytree(data, server.data)
    with pytest.raises(RuntimeError):
        server.start()
    assert "leat verify" in server.log() and "leat salvage" in server.log()


def test_nothing_left_is_no_new_beginning(copy, make_leat):
    """Every snapshot damaged, and no journal: the start is refused, again and again, and what there is
    stays as it is."""
    data = copy("snapshots")
    for name in os.listdir(data):
        if name.startswith("journal-"):
            os.unlink(os.path.join(data, name))
        if name.endswith(".snap"):
            flip(data, name, HEADER + 200)
    server = make_leat()
    shutil.copytree(data, server.data)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            server.start()
        assert "no snapshot in it is whole, and there is no journal" in server.log()
        left = [f for f in os.listdir(server.data) if f.startswith(("snapshot-", "journal-"))]
        assert len(left) == 2, left
    saved = make_leat()
    code, out, _ = leat("salvage", server.data, saved.data)
    assert code == 1 and "whole blocks of the snapshot" in out, out
