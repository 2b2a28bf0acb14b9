"""Streams much larger than the memory that the server may have: written, read from the start, at the
tail, by a group, after a restart; one large one, and a thousand that grow in turn.

The limit is a memory cgroup's (either version), page cache included. Where none can be made, the
peak of the resident size is held against it instead; the test says which it was."""

import os
import random
import threading
import time

import pytest

from support.resp import Connection, encode, texts
from support.servers import TOP, leat_binary

MB = 1 << 20
VALUE = 1000
FIRST_ID = 1000000000  # so that all ids are of one length
BURST = 500


class Limit:
    """A cgroup of its own for a server, or only the wish that it were one."""

    def __init__(self, limit):
        self.limit = limit
        self.group = self.kind = None
        for root, control, kind in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "cgroup v1"),
                                    ("/sys/fs/cgroup", "memory.max", "cgroup v2")):
            group = os.path.join(root, "leat-test-%d-%d" % (os.getpid(), random.getrandbits(30)))
            try:
                os.mkdir(group)
                with open(os.path.join(group, control), "w") as f:
                    f.write(str(limit))
            except OSError:
                if os.path.isdir(group):
                    os.rmdir(group)
                continue
            self.group, self.kind = group, kind
            break

    def wrap(self, folder, binary):
        """A program that enters the group and becomes the binary."""
        if self.group is None:
            return binary
        path = os.path.join(folder, "limited")
        with open(path, "w") as f:
            f.write('#!/bin/sh\necho $$ > %s/cgroup.procs\nexec %s "$@"\n' % (self.group, binary))
        os.chmod(path, 0o755)
        return path

    def remove(self):
        for _ in range(100):
            try:
                if self.group:
                    os.rmdir(self.group)
                return
            except OSError:
                time.sleep(0.05)


class Client(Connection):
    def read_exactly(self, size):
        until = time.monotonic() + self.timeout
        while len(self.buffer) < size:
            self._fill(until - time.monotonic())
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data


def peak_bytes(server):
    with open("/proc/%d/status" % server.process.pid) as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


def value_of(n):
    return (b"%016d" % n) * (VALUE // 16) + b"." * (VALUE % 16)


def add(key, n):
    return encode([b"XADD", key, b"%d-0" % (FIRST_ID + n), b"v", value_of(n)])


def entry(n):
    return b"*2\r\n$12\r\n%d-0\r\n*2\r\n$1\r\nv\r\n$%d\r\n%s\r\n" % (FIRST_ID + n, VALUE, value_of(n))


def check_range(conn, key, first, count):
    """Exactly these entries, byte for byte."""
    conn.send(encode(["XRANGE", key, "%d-0" % (FIRST_ID + first), "+", "COUNT", count]))
    want = b"*%d\r\n" % count + b"".join(entry(n) for n in range(first, first + count))
    got = conn.read_exactly(len(want))
    assert got == want, (key, first, got[:200], want[:200])


class Figures:
    def __init__(self, name):
        self.name, self.parts = name, []

    def timed(self, what, size):
        return Timer(self, what, size)

    def __str__(self):
        return "%s: %s" % (self.name, ", ".join(self.parts))


class Timer:
    def __init__(self, figures, what, size):
        self.figures, self.what, self.size = figures, what, size

    def __enter__(self):
        self.begun = time.monotonic()

    def __exit__(self, *_):
        took = time.monotonic() - self.begun
        self.figures.parts.append("%s %.1f s (%.0f MB/s)" % (self.what, took, self.size / MB / took))


class Life:
    """A server within a limit, and what is checked of it at each step."""

    def __init__(self, make_leat, limit, options):
        self.limit = Limit(limit)
        self.options = options
        binary = os.environ.get("LEAT_RELEASE_BIN") or os.path.join(TOP, "build", "leat")
        if not os.path.exists(binary):
            binary = leat_binary()
        self.server = make_leat()
        self.server.binary = self.limit.wrap(self.server.folder, binary)
        self.peak = 0

    def start(self):
        begun = time.monotonic()
        self.server.start(*self.options, wait=300)
        return time.monotonic() - begun

    def connect(self):
        return Client(self.server.port, timeout=300)

    def look(self):
        assert self.server.process.poll() is None, self.server.log()[-2000:]
        self.peak = max(self.peak, peak_bytes(self.server))
        assert self.peak < self.limit.limit, (self.peak, self.limit.limit)

    def end(self):
        self.server.kill()
        self.limit.remove()


def write(conn, keys, first, last):
    """Entries first..last of each key, one of each in turn."""
    burst = []
    for n in range(first, last):
        for key in keys:
            burst.append(add(key, n))
            if len(burst) == BURST:
                flush(conn, burst)
    flush(conn, burst)


def flush(conn, burst):
    conn.send(b"".join(burst))
    replies = conn.read_exactly(len(burst) * 19)
    assert replies.count(b"$12\r\n") == len(burst), replies[:200]
    burst.clear()


def one_stream(life, total, figures):
    entries = total // VALUE
    start_s = life.start()
    conn = life.connect()
    with figures.timed("write", total):
        write(conn, [b"s"], 0, entries)
    life.look()
    assert texts(conn.call("XLEN", "s")) == entries
    with figures.timed("read from the start", total):
        for n in range(0, entries, 1000):
            check_range(conn, "s", n, min(1000, entries - n))
    life.look()
    last = texts(conn.call("XREVRANGE", "s", "+", "-", "COUNT", 1))
    assert last[0][0] == b"%d-0" % (FIRST_ID + entries - 1)
    texts(conn.call("XGROUP", "CREATE", "s", "g", "0"))
    grouped = min(entries, 100000)
    with figures.timed("read by a group, acknowledge", grouped * VALUE):
        for n in range(0, grouped, 1000):
            (_, got), = texts(conn.call("XREADGROUP", "GROUP", "g", "c", "COUNT", 1000, "STREAMS", "s", ">"))
            ids = [e[0] for e in got]
            assert ids == [b"%d-0" % (FIRST_ID + i) for i in range(n, min(n + 1000, entries))]
            assert got[-1][1][1] == value_of(n + len(got) - 1)
            assert texts(conn.call("XACK", "s", "g", *ids[10:])) == len(ids) - 10
    life.look()
    pending = texts(conn.call("XPENDING", "s", "g"))[0]
    assert pending == (grouped + 999) // 1000 * 10
    # A reader at the start, one in the middle and one at the tail, while it grows.
    more = entries + entries // 20
    failures = []
    places = [0, entries // 2]
    threads = [threading.Thread(target=follow, args=(life, p, entries // 20, failures)) for p in places]
    threads.append(threading.Thread(target=follow_tail, args=(life, entries, more, failures)))
    for t in threads:
        t.start()
    write(conn, [b"s"], entries, more)
    for t in threads:
        t.join(300)
        assert not t.is_alive()
    assert not failures, failures
    life.look()
    life.server.kill()
    restart_s = life.start()
    figures.parts.append("restart %.2f s" % restart_s)
    assert start_s >= 0
    conn = life.connect()
    assert texts(conn.call("XLEN", "s")) == more
    assert texts(conn.call("XPENDING", "s", "g"))[0] == pending
    for n in [0, more // 3, more // 2, more - 100] + [random.randrange(more - 100) for _ in range(50)]:
        check_range(conn, "s", n, 100)
    life.look()


def follow(life, first, count, failures):
    try:
        conn = life.connect()
        for n in range(first, first + count, 100):
            check_range(conn, "s", n, 100)
    except Exception as e:  # noqa: B902 (kept for the report)
        failures.append(e)


def follow_tail(life, first, last, failures):
    try:
        conn, at = life.connect(), first
        while at < last:
            (_, got), = texts(conn.call("XREAD", "COUNT", 1000, "BLOCK", 60000, "STREAMS", "s", "%d-0" % (FIRST_ID + at - 1)))
            for e in got:
                assert e == [b"%d-0" % (FIRST_ID + at), [b"v", value_of(at)]], (at, e)
                at += 1
    except Exception as e:  # noqa: B902
        failures.append(e)


def many_streams(life, streams, total, figures):
    keys = [b"k:%d" % i for i in range(streams)]
    each = total // VALUE // streams
    life.start()
    conn = life.connect()
    with figures.timed("write", total):
        write(conn, keys, 0, each)
    life.look()
    with figures.timed("read all", total):
        for key in keys:
            check_range(conn, key, 0, each)
    life.look()
    life.server.kill()
    figures.parts.append("restart %.2f s" % life.start())
    conn = life.connect()
    for key in random.sample(keys, min(100, streams)):
        assert texts(conn.call("XLEN", key)) == each
        check_range(conn, key, each // 2, each - each // 2)
    life.look()


def run(make_leat, name, limit_mb, options, work, *args):
    life = Life(make_leat, limit_mb * MB, ["--sync", "no"] + options)
    figures = Figures(name)
    try:
        work(life, *args, figures)
        figures.parts.append("peak %.0f MB of %d MB (%s)" % (
            life.peak / MB, limit_mb, life.limit.kind or "no cgroup: the peak alone"))
    finally:
        life.end()
        print(figures)


def test_one_stream(make_leat):
    run(make_leat, "200 MB in one stream", 48, ["--stream-memory", "8mb"], one_stream, 200 * MB)


def test_many_streams(make_leat):
    run(make_leat, "60 MB in 200 streams", 48, ["--stream-memory", "8mb"], many_streams, 200, 60 * MB)


def test_four_gigabytes(make_leat, torture):
    if not torture:
        pytest.skip("long: make torture")
    run(make_leat, "4 GB in one stream", 256, [], one_stream, 4096 * MB)


def test_a_thousand_streams(make_leat, torture):
    if not torture:
        pytest.skip("long: make torture")
    run(make_leat, "1 GB in 1,000 streams", 256, [], many_streams, 1000, 1024 * MB)
