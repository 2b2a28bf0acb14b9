"""Streams on disk from outside: killed while they are written, with as little memory as can be, so
that most of each is in chunk files; and those files damaged.

Rounds are bounded; each names its seed when it fails (LEAT_SEED repeats it)."""

import json
import os
import random
import re
import subprocess
import time
import urllib.request

import pytest

from ledger import StreamWriter, audit
from support.faults import Faults
from support.resp import Connection, encode, texts
from support.servers import leat_binary
from test_disk import small_disk  # noqa: F401

# As little in memory as can be; files, segments and snapshots that come and go all the time.
SMALL = {"LEAT_STREAM_MEMORY": "1mb", "LEAT_CHUNK_FILE_BYTES": "1mb", "LEAT_JOURNAL_SEGMENT_BYTES": "1mb",
         "LEAT_SNAPSHOT_MIN_BYTES": "100kb"}


def info(conn, section="persistence"):
    return dict(re.findall(r"^(\w+):(.*?)\r?$", conn.call("INFO", section)[1].decode(), re.M))


def one_round(server, oracle, seed, options):
    rng = random.Random(seed)
    server.start(*options, env=SMALL, wait=60)
    writers = [StreamWriter(server.port, "w%d" % i, "%s/%d" % (seed, i)) for i in range(3)]
    for w in writers:  # ids go on from where the last round ended
        w.gen.newest = 1000000 * (int(seed.split("/")[-1]) + 1)
        w.start()
    control = Connection(server.port, timeout=30)
    for _ in range(3):
        time.sleep(rng.uniform(0.05, 0.5))
        control.call("BGSAVE")
    figures = info(control)
    server.kill()
    for w in writers:
        w.join(40)
        assert not w.is_alive() and w.failure is None, (seed, w.failure)
    server.start(*options, env=SMALL, wait=60)
    conn, oracle_conn = Connection(server.port, timeout=60), Connection(oracle.port, timeout=60)
    problems = [p for p in (audit(conn, oracle_conn, w) for w in writers) if p]
    assert not problems, "seed %s\n%s\n%s" % (seed, "\n".join(problems)[:6000], server.log()[-2000:])
    server.kill()
    return sum(w.acknowledged() for w in writers), int(figures["chunks_written"])


@pytest.mark.parametrize("sync", ["always", "everysec", "no"])
def test_what_was_acknowledged_is_there(make_leat, redis_server, torture, sync):
    server = make_leat()
    seed = os.environ.get("LEAT_SEED") or "%s/1" % sync
    total = written = 0
    for n in range(40 if torture else 4):
        acknowledged, chunks = one_round(server, redis_server, "%s/%d" % (seed, n), ["--sync", sync])
        total += acknowledged
        written += chunks
    assert total > 1000 and written > 0, (total, written)


# ---- Damage ----

ENTRIES = 3000


def value_of(i):
    return (b"%08d" % i) * 120


def fill(conn, key):
    for i in range(0, ENTRIES, 100):
        conn.send(b"".join(
            b"*5\r\n$4\r\nXADD\r\n$1\r\n%s\r\n$%d\r\n%d-1\r\n$1\r\nv\r\n$960\r\n%s\r\n" % (
                key, len(str(n + 1)) + 2, n + 1, value_of(n)) for n in range(i, i + 100)))
        for _ in range(100):
            assert conn.read()[1][0] == b"$"


def save(conn):
    for _ in range(100):
        if conn.call("SAVE")[1] == b"OK":
            return
        time.sleep(0.05)
    raise AssertionError("no snapshot")


def chunk_files(server):
    return sorted(f for f in os.listdir(server.data) if f.startswith("chunks-"))


@pytest.fixture
def damaged(make_leat):
    """Two streams in chunk files, stopped; one byte of a chunk is another. The server, file, offset."""
    server = make_leat().start("--sync", "no", env=SMALL)
    conn = Connection(server.port, timeout=30)
    fill(conn, b"s")
    conn.call("XGROUP", "CREATE", "s", "g", "0")
    fill(conn, b"t")
    for _ in range(200):
        if int(info(conn)["stream_sealing_bytes"]) == 0:
            break
        time.sleep(0.02)
    for _ in range(3):  # so that the journal does not have them any more
        save(conn)
    assert int(info(conn)["journal_first_position"]) > 0
    assert int(info(conn)["chunk_live_bytes"]) > 2 * ENTRIES * 960 * 0.7
    assert server.stop() == 0
    name = chunk_files(server)[0]
    with open(os.path.join(server.data, name), "r+b") as f:
        data = f.read()
        at = data.index(value_of(30)) + 100  # in the first block of s
        f.seek(at)
        f.write(bytes([data[at] ^ 1]))
    return server, name, at


def test_damage_is_named_and_the_rest_goes_on(damaged):
    server, name, at = damaged
    server.start("--sync", "no", env=SMALL)
    conn = Connection(server.port, timeout=30)
    needing = [("XRANGE", "s", "-", "+", "COUNT", 40), ("XRANGE", "s", "31-1", "31-1"), ("XREVRANGE", "s", "31", "-"),
               ("XREAD", "COUNT", 10, "STREAMS", "s", "5-0"), ("XDEL", "s", "31-1"), ("XTRIM", "s", "MAXLEN", ENTRIES - 5),
               ("XREADGROUP", "GROUP", "g", "c", "COUNT", 5, "STREAMS", "s", ">")]
    for args in needing * 2:  # and again: it stays so
        kind, text = conn.call(*args)
        assert kind == b"-", (args, kind, text)
        assert name.encode() in text and re.search(rb"offset \d+", text), (args, text)
        offset = int(re.search(rb"offset (\d+)", text).group(1))
        assert offset <= at < offset + (64 << 10) + 8192
    # In a transaction the other replies are what they are.
    for args in (("MULTI",), ("XLEN", "s"), needing[0], ("XLEN", "t")):
        conn.call(*args)
    kind, replies = conn.call("EXEC")
    assert kind == b"*" and [k for k, _ in replies] == [b":", b"-", b":"], replies
    # Nothing was taken by those that failed, and what does not need the chunk is answered.
    assert texts(conn.call("XLEN", "s")) == ENTRIES
    assert texts(conn.call("XPENDING", "s", "g"))[0] == 0
    got = texts(conn.call("XRANGE", "s", "1000", "+", "COUNT", 500))
    assert [e[1][1] for e in got] == [value_of(i) for i in range(999, 1499)]
    assert len(texts(conn.call("XRANGE", "t", "-", "+"))) == ENTRIES
    assert texts(conn.call("XADD", "s", "9999-1", "a", "b")) == b"9999-1"
    assert texts(conn.call("XTRIM", "s", "MINID", "1000-0")) == 999  # the damaged block goes as a whole
    assert texts(conn.call("XRANGE", "s", "-", "+", "COUNT", 1))[0][0] == b"1000-1"
    assert name in server.log()


def test_verify_names_it(damaged):
    server, name, at = damaged
    done = subprocess.run([leat_binary(), "verify", "--json", server.data], capture_output=True, timeout=60)
    found = [f for f in json.loads(done.stdout)["findings"] if f["file"] == name]
    assert done.returncode != 0 and found, (done.returncode, done.stdout[-500:], done.stderr[-500:])
    assert any(f["offset"] <= at < f["offset"] + (80 << 10) for f in found), found


def test_a_missing_file_stops_the_start(damaged):
    server, name, _ = damaged
    os.rename(os.path.join(server.data, name), os.path.join(server.folder, name))
    with pytest.raises(RuntimeError) as e:
        server.start("--sync", "no", env=SMALL)
    assert name in str(e.value), str(e.value)[-1500:]
    os.rename(os.path.join(server.folder, name), os.path.join(server.data, name))
    server.start("--sync", "no", env=SMALL)
    assert texts(Connection(server.port).call("XLEN", "t")) == ENTRIES


# ---- Figures ----

def test_figures(make_leat):
    server = make_leat().start("--sync", "no", http=True, env=SMALL)
    conn = Connection(server.port, timeout=30)
    before = info(conn)
    assert before["chunk_files"] == before["chunks_written"] == before["stream_open_bytes"] == "0"
    assert before["stream_memory_max"] == str(1 << 20)
    fill(conn, b"s")
    for _ in range(200):
        now = {k: int(v) for k, v in info(conn).items() if k.startswith(("stream_", "chunk"))}
        if now["stream_sealing_bytes"] == 0:
            break
        time.sleep(0.02)
    files = chunk_files(server)
    assert now["chunk_files"] == len(files)
    assert now["chunk_bytes"] == sum(os.path.getsize(os.path.join(server.data, f)) for f in files)
    size = ENTRIES * 1000  # of the wire, or a little more
    assert size * 0.9 < now["chunk_live_bytes"] + now["stream_open_bytes"] < size * 1.05, now
    assert now["chunk_live_bytes"] + 4096 * len(files) == now["chunk_bytes"]
    assert now["chunks_written"] >= size * 0.9 / (64 << 10) and now["chunk_dead_bytes"] == 0
    assert 0 < now["stream_open_bytes"] + now["stream_cached_bytes"] <= 1 << 20
    texts(conn.call("XTRIM", "s", "MAXLEN", 1))
    assert int(info(conn)["chunk_live_bytes"]) < 100000
    for _ in range(4):
        save(conn)
    after = info(conn)
    assert int(after["chunk_files"]) <= 2 and len(chunk_files(server)) <= 2
    time.sleep(0.3)
    with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % server.http_port, timeout=10) as r:
        metrics = dict(re.findall(r"^(leat_(?:stream|chunk)\w+) (\S+)$", r.read().decode(), re.M))
    for metric, field in (("leat_chunk_files", "chunk_files"), ("leat_chunk_bytes", "chunk_bytes"),
                          ("leat_chunks_written_total", "chunks_written"), ("leat_stream_open_bytes", "stream_open_bytes"),
                          ("leat_stream_memory_max_bytes", "stream_memory_max")):
        assert float(metrics[metric]) == float(after[field]), (metric, metrics[metric], after[field])


def metrics_of(server):
    with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % server.http_port, timeout=10) as r:
        return dict(re.findall(r"^(leat_\S+(?:\{.*\})?) (\S+)$", r.read().decode(), re.M))


def wait_for_metric(server, name, value):
    until = time.monotonic() + 20
    while metrics_of(server).get(name) != value:
        assert time.monotonic() < until, (name, {k: v for k, v in metrics_of(server).items() if "retention" in k})
        time.sleep(0.05)


def test_who_holds_back_is_named(make_leat):
    """One series: the group that holds back most; what went is counted by its cause."""
    server = make_leat().start("--sync", "no", http=True)
    conn = Connection(server.port)
    held = "leat_stream_retention_held_bytes"
    wait_for_metric(server, held, "0")
    conn.call("SELECT", 2)
    for n in range(1, 4):
        for key in ("little", 'or"ders'):
            conn.call("XADD", key, "%d-0" % n, "data", "x" * (1 if key == "little" else 100))
    for key in ("little", 'or"ders'):
        conn.call("XGROUP", "CREATE", key, "slow", "0")
        conn.call("XGROUP", "CREATE", key, "quick", "0")
        conn.call("XREADGROUP", "GROUP", "quick", "c", "NOACK", "STREAMS", key, ">")
        conn.call("XRETAIN", key, "UNTIL-ACKED")
    named = held + '{db="2",stream="or\\"ders",group="slow"}'
    wait_for_metric(server, named, str(3 * len(b"*2\r\n$3\r\n1-0\r\n*2\r\n$4\r\ndata\r\n$100\r\n" + b"x" * 100 + b"\r\n")))
    assert len([m for m in metrics_of(server) if m.startswith(held)]) == 1
    conn.call("XREADGROUP", "GROUP", "slow", "c", "NOACK", "STREAMS", 'or"ders', ">")
    wait_for_metric(server, 'leat_stream_retention_entries_total{cause="acknowledged"}', "3")
    until = time.monotonic() + 10
    while not any(m.startswith(held + '{db="2",stream="little"') for m in metrics_of(server)):
        assert time.monotonic() < until
        time.sleep(0.05)
    conn.call("DEL", "little")
    wait_for_metric(server, held, "0")
    assert len([m for m in metrics_of(server) if m.startswith(held)]) == 1


# ---- The disk is full, or slow ----

def test_chunk_files_cannot_be_written(make_leat):
    """Entries stay in memory up to a bound; then they are refused by name of the cause, while all
    else goes on; and when there is room again, so does the rest."""
    server = make_leat()
    faults = Faults(server.folder, under=server.data)
    server.start("--sync", "no", "--durable", "news*", env=dict(faults.env("write match=chunks- error=ENOSPC"), **SMALL))
    conn = Connection(server.port, timeout=30)
    added, refusal = 0, None
    until = time.monotonic() + 30
    while refusal is None and time.monotonic() < until:
        conn.send(b"".join(encode(["XADD", "s", "%d-0" % (added + i + 1), "v", value_of(added + i)]) for i in range(20)))
        for _ in range(20):
            kind, text = conn.read()[1]
            if kind == b"$":
                added += 1
            else:
                refusal = text
    assert refusal and b"chunk files" in refusal and b"No space left on device" in refusal, refusal
    assert 500 < added < 5000
    # One that was refused left no hole, and nothing else is refused.
    assert texts(conn.call("XLEN", "s")) == added
    assert texts(conn.call("SET", "k", "1")) == b"OK"
    assert len(texts(conn.call("XRANGE", "s", "-", "+"))) == added
    assert texts(conn.call("XDEL", "s", "1-0")) == 1
    kind, text = conn.call("PUBLISH", "news", "x")
    assert kind == b"-" and b"No space left" in text
    for adds in (("XADD", "s", "*", "a", "b"), ("PUBLISH", "news", "x")):
        for args in (("MULTI",), ("SET", "k", "2"), adds):
            conn.call(*args)
        kind, text = conn.call("EXEC")
        assert kind == b"-" and b"No space left" in text
    assert texts(conn.call("GET", "k")) == b"1"
    assert texts(conn.call("EXISTS", "news")) == 0
    assert info(conn)["chunk_write_failing"] == "1"
    faults.set("")
    until = time.monotonic() + 20
    while conn.call("XADD", "s", "%d-0" % (added + 1), "v", value_of(added))[0] != b"$":
        assert time.monotonic() < until
        time.sleep(0.1)
    assert info(conn)["chunk_write_failing"] == "0"
    got = texts(conn.call("XRANGE", "s", "-", "+"))
    assert [e[1][1] for e in got] == [value_of(i) for i in range(1, added + 1)]
    server.kill()
    server.start("--sync", "no", env=SMALL)
    assert texts(Connection(server.port, timeout=30).call("XRANGE", "s", "-", "+")) == got


def test_slow_chunk_files(make_leat):
    """Who writes faster than the disk takes it is held back, and nobody else is."""
    server = make_leat()
    faults = Faults(server.folder, under=server.data)
    server.start("--sync", "no", env=dict(faults.env("write match=chunks- delay_ms=30"), **SMALL))
    conn, other = Connection(server.port, timeout=120), Connection(server.port, timeout=10)
    conn.send(b"".join(encode(["XADD", "s", "%d-0" % (i + 1), "v", value_of(i)]) for i in range(ENTRIES * 4)))
    most = slowest = 0
    until = time.monotonic() + 60
    while time.monotonic() < until:
        begun = time.monotonic()
        now = info(other)
        slowest = max(slowest, time.monotonic() - begun)
        most = max(most, int(now["stream_sealing_bytes"]))
        if texts(other.call("XLEN", "s")) == ENTRIES * 4:
            break
        time.sleep(0.005)
    for _ in range(ENTRIES * 4):
        assert conn.read()[1][0] == b"$"
    assert most < 3 << 20, most
    assert slowest < 1, slowest


# ---- Commands that wait for the disk ----

def forget_cache(server):
    """What is in chunk files has to come from the disk again."""
    for name in chunk_files(server):
        fd = os.open(os.path.join(server.data, name), os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def start_with_entries_on_disk(server):
    """Its faults, and a connection; the stream `s` has a group `g`."""
    faults = Faults(server.folder, under=server.data)
    server.start("--sync", "no", env=dict(faults.env(), **SMALL))
    conn = Connection(server.port, timeout=60)
    fill(conn, b"s")
    for _ in range(200):
        if int(info(conn)["stream_sealing_bytes"]) == 0:
            break
        time.sleep(0.02)
    conn.call("XGROUP", "CREATE", "s", "g", "0")
    return faults, conn


def test_parked_commands(make_leat):
    """Clients wait for one chunk and for several, with more behind it in their pipelines; some are
    gone before it comes; none is answered wrongly, and who needs no disk does not wait."""
    server = make_leat()
    faults, conn = start_with_entries_on_disk(server)
    faults.set("read match=chunks- delay_ms=150")
    seen = 0
    for spread in (0, 1, 0, 1, 0, 1):
        forget_cache(server)
        clients = [Connection(server.port, timeout=60) for _ in range(24)]
        for i, c in enumerate(clients):
            first = 1 + spread * i * 60
            c.send(encode(["XRANGE", "s", "%d-1" % first, "+", "COUNT", 30]) + encode(["PING"]) +
                   encode(["XLEN", "s"]) + encode(["XREADGROUP", "GROUP", "g", "c%d" % i, "COUNT", 5, "STREAMS", "s", ">"]))
        time.sleep(0.05)
        begun = time.monotonic()
        assert texts(conn.call("PING")) == b"PONG"
        ids = texts(conn.call("CLIENT", "LIST"))
        assert time.monotonic() - begun < 1  # or it waited for others' reads
        parked = re.findall(rb"id=(\d+) [^\n]*cmd=xrange", ids)
        seen += len(parked)
        if parked:
            assert texts(conn.call("CLIENT", "UNBLOCK", parked[0])) == 0  # it waits for no key
        for c in clients[::5]:
            c.close()
        taken = []
        for i, c in enumerate(clients):
            if i % 5 == 0:
                continue
            first = 1 + spread * i * 60
            got = texts(c.read()[1])
            assert [e[0] for e in got] == [b"%d-1" % n for n in range(first, first + 30)]
            assert [e[1][1] for e in got] == [value_of(n - 1) for n in range(first, first + 30)]
            assert c.read()[1] == (b"+", b"PONG") and texts(c.read()[1]) == ENTRIES
            taken += [e[0] for e in texts(c.read()[1])[0][1]]
            c.close()
        assert len(set(taken)) == len(taken) >= 19 * 5  # nobody got what another has
    # (The system may keep a page that it was asked to forget.)
    assert seen > 0 and int(info(conn)["stream_loads"]) > 0
    # A write that waits changes nothing before it has what it needs.
    forget_cache(server)
    conn.call("XTRIM", "s", "MAXLEN", 1000)
    assert texts(conn.call("XLEN", "s")) == 1000
    assert texts(conn.call("XRANGE", "s", "-", "+", "COUNT", 1))[0][0] == b"%d-1" % (ENTRIES - 999)


def parked_exec(conn, server, client, commands):
    """Sends a transaction of what is on disk only, and tells whether it was seen to wait; nobody else does."""
    forget_cache(server)
    client.send(b"".join(encode(args) for args in [["MULTI"]] + commands + [["EXEC"], ["PING"]]))
    time.sleep(0.05)
    begun = time.monotonic()
    seen = b"cmd=exec" in b"".join(re.findall(rb"multi=[1-9][^\n]*cmd=exec", texts(conn.call("CLIENT", "LIST"))))
    assert time.monotonic() - begun < 0.1  # one read takes longer
    return seen


def replies_of_exec(client, commands):
    for word in [b"OK"] + [b"QUEUED"] * len(commands):
        assert texts(client.read()[1]) == word
    reply = texts(client.read(60)[1])
    assert texts(client.read()[1]) == b"PONG"
    return reply


def test_transactions_wait_for_the_disk_beside_others(make_leat):
    server = make_leat()
    faults, conn = start_with_entries_on_disk(server)
    faults.set("read match=chunks- delay_ms=250")
    seen = aborted = 0
    for n in range(5):
        first = 1 + n * 400
        commands = [["SET", "k", n], ["XRANGE", "s", "%d-1" % first, "+", "COUNT", 30], ["XREVRANGE", "s", "%d" % (first + 300), "-", "COUNT", 5],
                    ["XREAD", "COUNT", 3, "STREAMS", "s", "%d" % (first + 200)], ["XDEL", "s", "%d-1" % (first + 100)],
                    ["XREADGROUP", "GROUP", "g", "c", "COUNT", 5, "STREAMS", "s", ">"], ["XCLAIM", "s", "g", "d", 0, "1-1"], ["GET", "k"]]
        client = Connection(server.port, timeout=60)
        client.call("WATCH", "watched")
        seen += parked_exec(conn, server, client, commands)
        got = replies_of_exec(client, commands)
        assert [e[0] for e in got[1]] == [b"%d-1" % i for i in range(first, first + 30)]
        assert [e[1][1] for e in got[2]] == [value_of(i - 1) for i in range(first + 300, first + 295, -1)]
        assert [e[0] for e in got[3][0][1]] == [b"%d-1" % i for i in range(first + 200, first + 203)]
        assert got[0] == b"OK" and got[4] == 1 and got[7] == b"%d" % n
        assert [e[0] for e in got[5][0][1]] == [b"%d-1" % i for i in range(5 * n + 1, 5 * n + 6)]
        assert [e[0] for e in got[6]] == [b"1-1"]
        # What is watched may change until it runs.
        client.call("WATCH", "watched")
        commands = [["SET", "k", "no"], ["XRANGE", "s", "%d-1" % (first + 350), "+", "COUNT", 30]]
        if parked_exec(conn, server, client, commands):
            conn.call("SET", "watched", n)
            aborted += replies_of_exec(client, commands) is None
            assert texts(conn.call("GET", "k")) in (b"%d" % n, b"no")
        else:
            replies_of_exec(client, commands)
        client.close()
    assert seen > 0 and aborted > 0  # (the system may keep a page that it was asked to forget)


def wait_for(happened, otherwise):
    began = time.monotonic()
    while not happened():
        assert time.monotonic() - began < 30, otherwise
        time.sleep(0.05)


def disk_free(path):
    disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize


def start_on_small_disk(make_leat, small_disk):  # noqa: F811
    leat = make_leat()
    leat.data = os.path.join(small_disk(48), "data")
    leat.start("--stream-memory", "2mb", "--chunk-file-bytes", "1mb", "--snapshot-min-bytes", "4mb",
               "--journal-segment-bytes", "1mb")
    conn = Connection(leat.port)
    return leat, conn


def test_a_full_disk_can_be_emptied(make_leat, small_disk):  # noqa: F811
    """Trimming a stream on a disk that is full gives its room back, and writing goes on by itself: the snapshots it takes
    have room of their own."""
    leat, conn = start_on_small_disk(make_leat, small_disk)
    reply, added = None, 0
    while added < 200000:
        reply = conn.call("XADD", "big", "*", "data", b"x" * 1000)
        if reply[0] == b"-":
            break
        added += 1
    assert reply[0] == b"-" and b"MISCONF" in reply[1], (added, reply)
    assert conn.call("XLEN", "big") == (b":", b"%d" % added)
    assert conn.call("XTRIM", "big", "MAXLEN", "5") == (b":", b"%d" % (added - 5))
    wait_for(lambda: conn.call("XADD", "big", "*", "data", b"y" * 1000)[0] == b"$", "writing has not resumed")
    wait_for(lambda: disk_free(leat.data) > 24 << 20, "the room has not come back")
    for _ in range(added // 3):  # and there is room for more than a moment
        reply = conn.call("XADD", "big", "*", "data", b"z" * 1000)
        assert reply[0] == b"$", reply


def test_who_outruns_the_snapshots_of_a_full_disk_is_not_stuck(make_leat, small_disk):  # noqa: F811
    """Who writes faster than snapshots give room back is refused in between, but not for ever: the journal and chunk files do
    not take the room that the next snapshot needs."""
    leat, conn = start_on_small_disk(make_leat, small_disk)
    added = 0
    while conn.call("XADD", "big", "*", "data", b"x" * 1000)[0] == b"$":
        added += 1
    conn.call("XTRIM", "big", "MAXLEN", "5")
    for _ in range(added // 2):
        wait_for(lambda: conn.call("XADD", "big", "MAXLEN", "5", "*", "data", b"z" * 1000)[0] == b"$",
                 "writing has not resumed")
