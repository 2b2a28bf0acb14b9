"""A disk that is full, read-only, broken or slow: what is acknowledged stays true, what can go on
goes on, and the cause is named."""

import ctypes
import os
import re
import socket
import threading
import time

import pytest

from support.faults import Faults
from support.resp import Closed, Connection, encode, texts

MB = 1 << 20
MS_NOSUID, MS_NODEV, MS_RDONLY = 2, 4, 1


def mount_tmpfs(path, size_mb, read_only=False):
    libc = ctypes.CDLL(None, use_errno=True)
    flags = MS_NOSUID | MS_NODEV | (MS_RDONLY if read_only else 0)
    if libc.mount(b"tmpfs", path.encode(), b"tmpfs", flags, b"size=%dm,mode=0700" % size_mb) != 0:
        error = ctypes.get_errno()
        pytest.skip("mounting a tmpfs is not allowed here: %s" % os.strerror(error))
    return libc


@pytest.fixture
def small_disk(tmp_path):
    """mount(size_mb) gives a directory that is a disk of that size."""
    mounted = []

    def mount(size_mb, read_only=False):
        path = str(tmp_path / ("disk%d" % len(mounted)))
        os.mkdir(path)
        mounted.append((mount_tmpfs(path, size_mb, read_only), path))
        return path
    yield mount
    for libc, path in mounted:
        libc.umount2(path.encode(), 2)


def env_small_segments():
    return {"LEAT_JOURNAL_SEGMENT_BYTES": "1mb"}


def is_refused(reply):
    return reply[0] == b"-" and b"MISCONF" in reply[1] and b"disk is full" in reply[1]


def fill(conn, value, tries=3):
    """SETs until one is refused `tries` times in a row (what is under way is reckoned at its worst):
    the keys that were acknowledged, and the refusal."""
    kept, refused, n = [], 0, 0
    while refused < tries:
        reply = conn.call("SET", "fill:%d" % n, value)
        if reply == (b"+", b"OK"):
            kept.append("fill:%d" % n)
            refused = 0
        else:
            assert is_refused(reply), reply
            refused += 1
            time.sleep(0.02)
        n += 1
        assert n < 20000, "the disk does not fill up"
    return kept, reply


# ---- Full ----

@pytest.mark.parametrize("sync", ["always", "everysec", "no"])
def test_full_disk_refuses_what_grows_and_nothing_else(small_disk, make_leat, sync):
    disk = small_disk(12)
    server = make_leat()
    server.data = os.path.join(disk, "data")
    with open(os.path.join(disk, "ballast"), "wb") as f:
        f.write(b"x" * 4 * MB)
    server.start("--sync", sync, env=env_small_segments())
    conn, hearer = Connection(server.port), Connection(server.port)
    hearer.call("SUBSCRIBE", "news")
    before = [["SET", "number", "41"], ["HSET", "hash", "a", "1", "b", "2"], ["SADD", "set", "a", "b"],
              ["ZADD", "zset", "1", "a", "2", "b"], ["SET", "text", "old"], ["SET", "gone", "x"]]
    for args in before:
        assert conn.call(*args)[0] != b"-"
    kept, reply = fill(conn, "v" * 8000)
    assert len(kept) > 100
    assert disk.encode() in reply[1]  # which disk

    # Refused before anything has changed, each kind of write and a whole transaction.
    size = texts(conn.call("DBSIZE"))
    grown = "w" * 8000
    for args in (["SET", "new", grown], ["APPEND", "text", grown], ["HSET", "hash", "c", grown], ["SADD", "set", grown],
                 ["ZADD", "zset", "3", grown], ["MSET", "m1", grown, "m2", grown], ["GETSET", "text", grown],
                 ["SETRANGE", "text", "5000", grown]):
        assert is_refused(conn.call(*args)), args
    conn.call("MULTI")
    conn.call("INCR", "number")
    conn.call("SET", "new", grown)
    reply = conn.call("EXEC")
    assert reply[0] == b"-" and b"disk is full" in reply[1]
    assert texts(conn.call("DBSIZE")) == size
    assert texts(conn.call("GET", "text")) == b"old"
    assert texts(conn.call("GET", "number")) == b"41"
    assert texts(conn.call("HLEN", "hash")) == 2
    assert texts(conn.call("SCARD", "set")) == 2
    assert texts(conn.call("ZCARD", "zset")) == 2

    # What does not grow goes on: reads, messages, deletions, removals.
    assert texts(conn.call("PUBLISH", "news", "still here")) == 1
    hearer.read()  # the subscription was read by call(); this is the message
    assert texts(conn.call("DEL", "gone")) == 1
    assert texts(conn.call("HDEL", "hash", "a")) == 1
    assert texts(conn.call("SREM", "set", "a")) == 1
    assert texts(conn.call("ZREMRANGEBYRANK", "zset", "0", "0")) == 1
    for key in kept[:50]:
        assert texts(conn.call("UNLINK", key)) == 1
    assert texts(conn.call("SPOP", "set")) == b"b"

    # There is room again: writing resumes by itself.
    os.unlink(os.path.join(disk, "ballast"))
    until = time.monotonic() + 5
    while is_refused(conn.call("SET", "after", grown)):
        assert time.monotonic() < until, "writing does not resume"
        time.sleep(0.02)
    assert conn.call("SET", "number", "42") == (b"+", b"OK")

    server.kill()
    server.start("--sync", sync, env=env_small_segments())
    conn = Connection(server.port)
    assert texts(conn.call("GET", "after")) == grown.encode()
    assert texts(conn.call("GET", "number")) == b"42"
    assert texts(conn.call("EXISTS", *kept)) == len(kept) - 50
    assert texts(conn.call("HGETALL", "hash")) == [b"b", b"2"]
    assert texts(conn.call("EXISTS", "gone", "set", "new", "m1", "m2")) == 0


def test_durable_channels_when_full(small_disk, make_leat):
    """PUBLISH is a write there, by itself and in a transaction: what is refused nobody is sent."""
    server = make_leat()
    server.data = os.path.join(small_disk(8), "data")
    server.start("--sync", "no", "--durable", "news*", env=env_small_segments())
    conn, hearer = Connection(server.port), Connection(server.port)
    hearer.call("SUBSCRIBE", "news")
    assert texts(conn.call("PUBLISH", "news", "first")) == 1
    fill(conn, "v" * 8000)
    message = "w" * 8000
    assert is_refused(conn.call("PUBLISH", "news", message))
    for _ in range(50):  # what is kept free for deletions is not for messages
        conn.call("MULTI")
        conn.call("PUBLISH", "news", message)
        kind, text = conn.call("EXEC")
        assert kind == b"-" and b"disk is full" in text, (kind, text)
    assert texts(conn.call("XLEN", "news")) == 1
    assert texts(hearer.read()[1])[2] == b"first"


def test_expiry_goes_on_when_full(small_disk, make_leat):
    server = make_leat()
    server.data = os.path.join(small_disk(8), "data")
    server.start(env=env_small_segments())
    conn = Connection(server.port)
    for n in range(100):
        conn.call("SET", "short:%d" % n, "x", "PX", "1500")
    fill(conn, "v" * 30000)
    time.sleep(1.6)
    until = time.monotonic() + 5
    while b"short" in b" ".join(texts(conn.call("KEYS", "short:*"))) and time.monotonic() < until:
        time.sleep(0.05)
    size = texts(conn.call("DBSIZE"))  # counts what is expired but not deleted
    assert is_refused(conn.call("SET", "more", "v" * 30000))
    server.kill()
    server.start(env=env_small_segments())
    conn = Connection(server.port)
    assert texts(conn.call("DBSIZE")) == size
    assert texts(conn.call("KEYS", "short:*")) == []


def test_results_larger_than_their_commands_are_refused_before_anything_changes(small_disk, make_leat):
    """A few short arguments that would write much: a copy of a large set, again and again."""
    server = make_leat()
    server.data = os.path.join(small_disk(10), "data")
    server.start(env=env_small_segments())
    conn = Connection(server.port)
    members = ["member-%06d-%s" % (n, "x" * 100) for n in range(10000)]
    for at in range(0, len(members), 500):
        conn.call("SADD", "large", *members[at:at + 500])
        conn.call("ZADD", "ranked", *[w for n, m in enumerate(members[at:at + 500]) for w in (n, m)])
    fill(conn, "v" * 30000)
    size = texts(conn.call("DBSIZE"))
    for args in (["SUNIONSTORE", "new", "large"], ["SINTERSTORE", "new", "large", "large"],
                 ["SDIFFSTORE", "new", "large", "none"], ["ZUNIONSTORE", "new", "1", "ranked"],
                 ["ZINTERSTORE", "new", "1", "ranked"], ["ZDIFFSTORE", "new", "2", "ranked", "none"],
                 ["ZRANGESTORE", "new", "ranked", "0", "-1"], ["SUNIONSTORE", "large", "large", "ranked-not"]):
        reply = conn.call(*args)
        assert is_refused(reply), (args, reply)
    conn.send(encode(["MULTI"]) + encode(["SET", "small", "1"]) + encode(["SUNIONSTORE", "new", "large"])
              + encode(["EXEC"]))
    replies = [conn.read()[1] for _ in range(4)]
    assert b"disk is full" in repr(replies[3]).encode(), replies
    conn.call("DEL", "small")
    assert texts(conn.call("DBSIZE")) == size
    assert texts(conn.call("SCARD", "large")) == 10000
    # What takes out many members needs room to say which: there is none for so many.
    for args in (["SPOP", "large", "9990"], ["ZREMRANGEBYRANK", "ranked", "1", "-1"], ["ZPOPMIN", "ranked", "9999"],
                 ["ZMPOP", "1", "ranked", "MAX", "COUNT", "9999"], ["BZMPOP", "0", "1", "ranked", "MIN", "COUNT", "9999"]):
        reply = conn.call(*args)
        assert is_refused(reply), (args, reply)
    assert texts(conn.call("SCARD", "large")) == texts(conn.call("ZCARD", "ranked")) == 10000
    assert len(texts(conn.call("SPOP", "large", "10"))) == 10  # a few leave through the reserve
    # All of them is one short deletion.
    assert conn.call("ZREMRANGEBYRANK", "ranked", "0", "-1") == (b":", b"10000")
    assert conn.call("DEL", "large") == (b":", b"1")
    server.kill()
    server.start(env=env_small_segments())
    assert texts(Connection(server.port).call("EXISTS", "large", "ranked", "new", "small")) == 0


def test_references_that_need_much_room_to_go_are_left_where_they_are(small_disk, make_leat):
    """Twenty entries are pending in a thousand groups with long names: each reference is told of."""
    server = make_leat()
    server.data = os.path.join(small_disk(16), "data")
    server.start(env=env_small_segments())
    conn = Connection(server.port)
    ids = ["%d-0" % n for n in range(1, 21)]
    names = ["%04d-%s" % (n, "g" * 200) for n in range(1000)]
    for entry in ids:
        conn.call("XADD", "s", entry, "f", "v")
    for name in names:
        conn.call("XGROUP", "CREATE", "s", name, "0")
        conn.call("XREADGROUP", "GROUP", name, "c", "STREAMS", "s", ">")
    fill(conn, "v" * 30000)
    for args in (["XDELEX", "s", "DELREF", "IDS", "20", *ids], ["XACKDEL", "s", names[0], "DELREF", "IDS", "20", *ids]):
        reply = conn.call(*args)
        assert is_refused(reply), (args, reply)
    assert texts(conn.call("XLEN", "s")) == 20
    assert all(texts(conn.call("XPENDING", "s", name))[0] == 20 for name in names[::100])
    assert texts(conn.call("XACKDEL", "s", names[0], "IDS", "20", *ids)) == [1] * 20  # one group's, through the reserve
    server.kill()
    server.start(env=env_small_segments())
    conn = Connection(server.port)
    assert texts(conn.call("XLEN", "s")) == 0
    assert [texts(conn.call("XPENDING", "s", name))[0] for name in names[:2]] == [0, 20]


def test_claims_in_an_order_that_takes_many_records(small_disk, make_leat):
    server = make_leat()
    server.data = os.path.join(small_disk(16), "data")
    server.start(env=env_small_segments())
    conn = Connection(server.port)
    ids, group, consumer = ["%d-0" % n for n in range(1, 3001)], "g" * 300, "c" * 300
    for entry in ids:
        conn.call("XADD", "s", entry, "f", "v")
    conn.call("XGROUP", "CREATE", "s", group, "0")
    conn.call("XREADGROUP", "GROUP", group, "a", "STREAMS", "s", ">")
    fill(conn, "v" * 400000)
    reply = conn.call("XCLAIM", "s", group, consumer, "0", *reversed(ids), "JUSTID")
    assert is_refused(reply), reply
    assert texts(conn.call("XPENDING", "s", group))[3] == [[b"a", b"3000"]]


# ---- Read-only ----

def test_read_only_directory_is_refused_at_the_start(small_disk, make_leat):
    disk = small_disk(4, read_only=True)
    server = make_leat()
    server.data = os.path.join(disk, "data")
    server.spawn([server.binary, "serve", "--port", str(server.port), "--http", "0", "--dir", server.data])
    assert server.process.wait(10) == 1
    assert re.search(r"leat: .*%s.*Read-only file system" % re.escape(disk), server.log()), server.log()


def test_directory_that_turns_read_only(make_leat):
    """Nothing new can be made; what is open can be written: writing goes on until it is full."""
    server = make_leat()
    faults = Faults(server.folder, under=server.data)
    server.start(env=dict(faults.env(), **env_small_segments()))
    conn = Connection(server.port)
    assert conn.call("SET", "a", "1") == (b"+", b"OK")
    faults.set("open error=EROFS\nrename error=EROFS")
    reply = (b"+", b"OK")
    for n in range(2000):
        reply = conn.call("SET", "k%d" % n, "v" * 8000)
        if reply != (b"+", b"OK"):
            break
    assert reply[0] == b"-" and b"Read-only file system" in reply[1] and server.data.encode() in reply[1]
    assert texts(conn.call("GET", "a")) == b"1"
    assert texts(conn.call("DEL", "a")) == 1
    faults.set("")
    until = time.monotonic() + 5
    while conn.call("SET", "b", "v" * 8000)[0] == b"-":
        assert time.monotonic() < until
        time.sleep(0.02)
    assert texts(conn.call("EXISTS", "k%d" % n)) == 0


# ---- Broken ----

class Script:
    """The same small life each time: what was acknowledged, as a prefix of numbered writes."""

    def __init__(self, server):
        self.server = server
        self.acknowledged = self.sent = 0

    def run(self, count=40):
        try:
            conn = Connection(self.server.port, timeout=20)
            for _ in range(count):
                self.sent += 1
                reply = conn.call("SET", "n:%d" % self.sent, "v" * 40000)
                if reply != (b"+", b"OK"):
                    assert reply[0] == b"-" and b"MISCONF" in reply[1], reply
                    assert b"Input/output error" in reply[1], reply
                    self.sent -= 1
                    return
                self.acknowledged += 1
            conn.close()
        except (Closed, ConnectionError, RuntimeError):
            pass

    def check(self, conn):
        there = texts(conn.call("DBSIZE"))
        assert self.acknowledged <= there <= self.sent, (self.acknowledged, there, self.sent)
        for n in range(1, there + 1):
            assert texts(conn.call("STRLEN", "n:%d" % n)) == 40000, n


def life_with(server, faults, script, rule, sync):
    """One start, some writes, a stop, under a rule: (the rule's call was reached, exit code, log)."""
    options = ["--sync", sync]
    env = dict(faults.env(rule, trace=True), **env_small_segments())
    try:
        server.start(*options, env=env)
        script.run()
        server.process.send_signal(15)
    except RuntimeError:
        pass  # it did not start: its reason is looked at below
    code = server.process.wait(30)
    if code == -15:  # it was ending by itself, and our signal came when it was done with those
        code = 1
    hit = any(v.verdict.startswith("failed") for v in faults.trace())
    log = server.log()
    server.kill()
    assert code in (0, 1), (code, rule, log)
    if code == 1:
        assert "Input/output error" in log and server.data in log, (rule, log)
    return hit, code, log


@pytest.mark.parametrize("sync", ["always", "everysec"])
def test_error_at_every_call(make_leat, torture, sync):
    """Each call in turn fails with EIO, alone or with all after it: it is said, nothing is acknowledged
    that is not there afterwards, and with a disk that works again the server starts."""
    step = 1 if torture else 7
    nth, reached, exits = (1 if torture else 3), 0, 0
    while True:
        server = make_leat()
        faults = Faults(server.folder, under=server.data)
        script = Script(server)
        rule = "any nth=%d error=EIO%s" % (nth, " count=1" if nth % 2 else "")
        hit, code, log = life_with(server, faults, script, rule, sync)
        if code == 1:
            exits += 1
            # Acknowledged nothing more: what the log says holds.
            assert "nothing more is acknowledged" in log or "ready" not in str(server.ready), log
        server.ready = None
        server.start("--sync", sync)
        script.check(Connection(server.port))
        server.kill()
        if not hit:
            break
        reached += 1
        nth += step
    assert reached > 3 and exits > 1
    print("%s: %d calls failed, %d exits" % (sync, reached, exits))


@pytest.mark.parametrize("call", ["write", "sync"])
@pytest.mark.parametrize("sync", ["always", "everysec", "no"])
def test_failed_write_or_sync_ends_the_server(make_leat, sync, call):
    server = make_leat()
    faults = Faults(server.folder, under=server.data)
    server.start("--sync", sync, env=faults.env(trace=True))
    conn, quiet = Connection(server.port), Connection(server.port)
    assert conn.call("SET", "before", "1") == (b"+", b"OK")
    if sync == "no" and call == "sync":
        faults.set("sync match=journal- error=EIO")
        conn.send(encode(["SET", "k", "v"]) + encode(["WAITAOF", "1", "0", "0"]))  # somebody wants it synced
        try:  # the failure may be noticed before the answer has left
            assert conn.read()[1] == (b"+", b"OK")
        except Closed:
            pass
    else:
        faults.set("%s match=journal- error=EIO" % call)
        conn.send(encode(["SET", "k", "v"]))
    if sync == "always" or call == "write":
        with pytest.raises(Closed):
            conn.read(10)
    assert server.process.wait(10) == 1
    with pytest.raises((Closed, ConnectionError)):
        quiet.call("PING")
    line = [l for l in server.log().splitlines() if "Input/output error" in l]
    assert len(line) == 1, server.log()
    assert server.data in line[0] and "journal-0000" in line[0] and "nothing more is acknowledged" in line[0]
    failed = [v for v in faults.trace() if v.verdict.startswith("failed")]
    assert len([v for v in failed if v.call == call]) == 1, failed  # never tried again
    server.kill()
    server.start("--sync", sync)
    assert texts(Connection(server.port).call("GET", "before")) == b"1"


# ---- Slow ----

def test_reads_go_on_during_a_long_sync(make_leat, torture):
    """One sync takes seconds: quiet keys are read meanwhile, and whoever wrote, or looks at what was
    written, or hears of it, waits for the disk."""
    seconds = 10 if torture else 2.5
    server = make_leat()
    faults = Faults(server.folder, under=server.data)
    server.start("--sync", "always", env=faults.env())
    setup = Connection(server.port)
    setup.call("MSET", "quiet", "q", "touched", "old")
    setup.call("CONFIG", "SET", "notify-keyspace-events", "K$")
    hearer = Connection(server.port)
    hearer.call("SUBSCRIBE", "news")
    watcher = Connection(server.port)
    watcher.call("SUBSCRIBE", "__keyspace@0__:touched")
    writer, reader, prober, whole = (Connection(server.port, timeout=30) for _ in range(4))
    for c in (writer, reader, prober, whole):
        c.call("PING")
    time.sleep(0.3)  # the idle marker is written
    faults.set("sync count=1 delay_ms=%d" % (seconds * 1000))
    began = time.monotonic()
    writer.send(encode(["SET", "touched", "new"]) + encode(["PUBLISH", "news", "after my write"]))
    time.sleep(0.05)
    reader.send(encode(["GET", "touched"]))
    whole.send(encode(["DBSIZE"]))
    slowest = rounds = 0
    while time.monotonic() - began < seconds - 0.5:
        sent = time.monotonic()
        assert texts(prober.call("GET", "quiet")) == b"q"
        assert texts(prober.call("PUBLISH", "others", "x")) == 0
        slowest = max(slowest, time.monotonic() - sent)
        rounds += 1
        time.sleep(0.005)
    assert rounds > 50 and slowest < 0.25, (rounds, slowest)
    for c in (writer, reader, whole, hearer, watcher):  # nobody has been told
        with pytest.raises(socket.timeout):
            c.read(0.01)
    assert writer.read()[1] == (b"+", b"OK")
    took = time.monotonic() - began
    assert seconds - 0.1 <= took < seconds + 2, took
    assert texts(reader.read()[1]) == b"new"
    assert texts(whole.read()[1]) == 2
    assert texts(hearer.read()[1])[2] == b"after my write"
    assert texts(watcher.read()[1])[2] == b"set"


def fields(reply):
    return dict(line.split(":", 1) for line in texts(reply).decode().splitlines() if ":" in line)


@pytest.mark.parametrize("sync", ["always", "everysec", "no"])
def test_unsynced_bytes_are_bounded(make_leat, sync):
    """Writers far faster than the disk: their sockets are not read beyond the bound, under each policy,
    and nothing stays behind when they are through."""
    server = make_leat()
    faults = Faults(server.folder, under=server.data)
    server.start("--sync", sync, env=faults.env())
    faults.set("sync delay_ms=400")
    rounds, worst, value = 12, 0, "v" * 100000
    watcher = Connection(server.port)
    writers = [Connection(server.port) for _ in range(8)]

    def write(conn, who):
        for n in range(rounds):
            conn.send(b"".join(encode(["SET", "k%d:%d" % (who, i), value]) for i in range(20)))
        for n in range(rounds * 20):
            assert conn.read()[1] == (b"+", b"OK")

    threads = [threading.Thread(target=write, args=(c, who)) for who, c in enumerate(writers)]
    for t in threads:
        t.start()
    while any(t.is_alive() for t in threads):
        info = fields(watcher.call("INFO", "persistence"))
        worst = max(worst, int(info["journal_unsynced_bytes"]))
        time.sleep(0.005)
    for t in threads:
        t.join()
    bound = int(info["journal_unsynced_bytes_max"])
    assert bound == 64 << 20
    # Beyond it, what each connection had sent already and was read in one turn.
    assert bound * 0.9 < worst < bound + (8 << 20), worst
    faults.set("")
    until = time.monotonic() + 10
    while sync == "everysec" and int(fields(watcher.call("INFO", "persistence"))["journal_unsynced_bytes"]):
        assert time.monotonic() < until
        time.sleep(0.05)


def is_part_of(sync, write):
    """Both are one call, a write around the page cache."""
    return write.begin_us <= sync.begin_us and sync.end_us <= write.end_us


def test_no_reply_leaves_before_its_sync(make_leat):
    """By the record of calls: between a write's batch and its reply a sync was begun and ended."""
    server = make_leat()
    faults = Faults(server.folder, under=server.data)
    server.start("--sync", "always", env=faults.env("sync delay_ms=20", trace=True))
    conn = Connection(server.port)
    spans = []
    for n in range(30):
        begin = time.monotonic()
        assert conn.call("SET", "k%d" % n, "v") == (b"+", b"OK")
        spans.append((begin * 1e6, time.monotonic() * 1e6))
    visits = [v for v in faults.trace() if "journal-" in v.path]
    for begin, end in spans:
        writes = [v for v in visits if v.call == "write" and v.begin_us >= begin and v.end_us <= end]
        assert any(s.call == "sync" and s.path == w.path and s.end_us <= end and
                   (s.begin_us >= w.end_us or is_part_of(s, w)) for w in writes for s in visits), (begin, end)
