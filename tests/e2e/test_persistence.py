"""INFO persistence and the journal's metrics: every figure is there, and is what the files, and what was
done, say."""

import os
import re
import struct
import threading
import time
import urllib.request

import pytest

from support.faults import Faults
from support.resp import Connection, encode, texts

SMALL = {"LEAT_JOURNAL_SEGMENT_BYTES": "1mb", "LEAT_SNAPSHOT_GROWTH_PERCENT": "0"}


def info(conn):
    lines = texts(conn.call("INFO", "persistence")).decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def number(conn, name):
    return float(info(conn)[name])


def metrics(server):
    with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % server.http_port) as answer:
        text = answer.read().decode()
    return dict((m[0], float(m[1])) for m in re.findall(r"^(leat_\S+) (\S+)$", text, re.M))


def segments(data):
    """(in use, prepared): sizes of segments, by what their header pages say."""
    used, prepared = [], []
    for name in os.listdir(data):
        if not name.startswith("journal-"):
            continue
        path = os.path.join(data, name)
        with open(path, "rb") as f:
            page = f.read(64)
        in_use = page[:8] == b"leat-jrn" and not page[56] & 2
        (used if in_use else prepared).append(os.path.getsize(path))
    return used, prepared


def write(conn, count, size=10000):
    for n in range(count):
        conn.send(encode(["SET", "k%d" % (n % 50), "v" * size]))
    for n in range(count):
        conn.read()


def until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def save(conn):
    made = number(conn, "rdb_saves")
    assert conn.call("BGSAVE")[0] == b"+"
    until(lambda: number(conn, "rdb_saves") == made + 1)


def test_of_the_journal(make_leat):
    server = make_leat().start("--sync", "always", http=True, env=SMALL)
    conn = Connection(server.port)
    before = info(conn)
    assert before["journal_records"] == "0" and before["journal_sync"] == "always"
    write(conn, 300)
    until(lambda: number(conn, "journal_unsynced_bytes") == 0)
    time.sleep(0.3)  # a marker, and no more segments in the making
    after, (used, prepared) = info(conn), segments(server.data)
    record = 4 + 1 + 1 + 1 + 3 + 2 + 10000  # framing, kind, database, key, value; docs/format.md
    assert int(after["journal_records"]) == 300
    assert abs(int(after["journal_position"]) - 300 * record) <= 300 * 2
    assert after["journal_synced_position"] == after["journal_position"]
    assert 1 <= int(after["journal_batches"]) <= 302
    assert float(after["journal_records_per_batch"]) == pytest.approx(
        300 / int(after["journal_batches"]), abs=0.01)
    assert int(after["journal_bytes"]) == sum(used) and int(after["journal_segments"]) == len(used) > 2
    assert int(after["aof_current_size"]) == sum(used)
    assert int(after["journal_prepared_segments"]) == len(prepared)
    assert int(after["journal_prepared_bytes"]) == sum(prepared)
    assert 0 < int(after["journal_sync_us_p50"]) <= int(after["journal_sync_us_p99"]) \
        <= int(after["journal_sync_us_max"])
    seen = metrics(server)
    assert seen["leat_journal_size_bytes"] == sum(used)
    assert seen["leat_journal_bytes_total"] == int(after["journal_position"])
    assert seen["leat_journal_batches_total"] == int(after["journal_batches"])
    assert seen["leat_journal_records_total"] == 300
    assert seen["leat_journal_sync_seconds_count"] > 0
    assert seen["leat_journal_sync_max_microseconds"] == int(after["journal_sync_us_max"])


def test_of_syncs(make_leat):
    """Latencies are those of the disk."""
    server = make_leat()
    faults = Faults(server.folder, under=server.data)
    server.start("--sync", "always", env=faults.env("sync match=journal- delay_ms=30"))
    conn = Connection(server.port)
    for n in range(20):
        conn.call("SET", "a", n)
    faults.set("sync match=journal- count=1 delay_ms=300")
    conn.call("SET", "a", "slow")
    faults.set("")
    said = info(conn)
    assert 30000 <= int(said["journal_sync_us_p50"]) < 200000
    assert int(said["journal_sync_us_p99"]) >= int(said["journal_sync_us_p50"])
    assert int(said["journal_sync_us_max"]) >= 300000
    faults.set("sync match=journal- delay_ms=500")
    conn.send(encode(["SET", "a", "waits"]))
    time.sleep(0.1)
    other = Connection(server.port)
    assert 0 < number(other, "journal_unsynced_bytes") < 100
    assert info(other)["aof_pending_bio_fsync"] == "1"


def test_of_snapshots_and_recycling(make_leat):
    server = make_leat().start("--sync", "everysec", http=True, env=SMALL)
    conn = Connection(server.port)
    for cycle in range(4):
        write(conn, 400)
        save(conn)
    said = info(conn)
    names = sorted(f for f in os.listdir(server.data) if f.endswith(".snap"))
    assert len(names) == 2
    assert int(said["snapshot_position"]) == int(names[-1][9:29])
    assert int(said["snapshot_bytes"]) == os.path.getsize(os.path.join(server.data, names[-1]))
    assert 50 * 10000 < int(said["snapshot_bytes"]) < 50 * 10000 * 1.1
    assert said["rdb_last_bgsave_status"] == "ok" and int(said["snapshot_last_ms"]) >= 0
    assert abs(int(said["rdb_last_save_time"]) - time.time()) < 30
    assert int(said["log_bytes"]) == int(said["journal_bytes"]) + int(said["snapshot_bytes"])
    assert float(said["log_live_percent"]) == pytest.approx(
        100 * int(said["snapshot_bytes"]) / int(said["log_bytes"]), abs=0.01)
    assert int(said["journal_first_position"]) > 0
    assert int(said["journal_recycled_segments"]) >= 3
    until(lambda: number(conn, "journal_segments") + number(conn, "journal_prepared_segments")
          == sum(len(x) for x in segments(server.data)))
    seen = metrics(server)
    assert seen["leat_journal_recycled_segments_total"] == number(conn, "journal_recycled_segments")
    assert seen["leat_snapshot_size_bytes"] == int(said["snapshot_bytes"])
    assert seen["leat_journal_size_bytes"] == number(conn, "journal_bytes")


def test_of_the_start(make_leat):
    server = make_leat().start("--sync", "no", env=SMALL)
    conn = Connection(server.port)
    write(conn, 100)
    save(conn)
    write(conn, 33)
    server.kill()
    server.start("--sync", "no", http=True, env=SMALL)
    said = info(Connection(server.port))
    assert metrics(server)["leat_recovery_milliseconds"] == int(said["recovery_ms"])
    assert int(said["recovery_snapshot_records"]) == 50 and int(said["recovery_journal_records"]) == 33
    assert int(said["recovery_ms"]) == int(said["recovery_snapshot_ms"]) + int(said["recovery_journal_ms"])
    assert 0 <= int(said["recovery_ms"]) < 20000 and said["recovery_bad_snapshots"] == "0"
    name = max(f for f in os.listdir(server.data) if f.endswith(".snap"))
    assert int(said["snapshot_position"]) == int(name[9:29])
    server.kill()
    with open(os.path.join(server.data, name), "r+b") as f:
        f.seek(5000)
        f.write(struct.pack("B", 0))
    server.start("--sync", "no", env=SMALL)
    said = info(Connection(server.port))
    assert said["recovery_bad_snapshots"] == "1" and int(said["recovery_journal_records"]) == 133


@pytest.mark.parametrize("slow", ["journal-", ".snap"])
def test_while_it_starts(make_leat, slow):
    """Who asks meanwhile is told so, and how far it is; the log says it too; then everything is there."""
    server = make_leat()
    faults = Faults(server.folder, under=server.data)
    server.start("--sync", "no", env=dict(faults.env(), **SMALL))
    conn = Connection(server.port)
    write(conn, 600)
    for _ in range(300):
        conn.call("XADD", "s", "*", "data", "x" * 1000)
    if slow == ".snap":
        save(conn)
    server.kill()
    starts = threading.Thread(target=server.start, args=("--sync", "no"),
                              kwargs={"env": dict(faults.env("read match=%s delay_ms=1200" % slow), **SMALL)})
    starts.start()
    try:
        until(lambda: server_answers(server.port))
        conn = Connection(server.port)
        asked = [conn.call(*args) for args in (["GET", "k1"], ["SET", "k1", "x"], ["PUBLISH", "a", "b"], ["XADD", "s", "*", "f", "v"])]
        for args in (["INFO", "everything"], ["PUBSUB", "SUBSCRIBERS", "a"], ["CLIENT", "LIST"], ["CONFIG", "SET", "stream-memory", "2mb"]):
            assert conn.call(*args)[0] != b"-", args
        said = info(conn)
        assert said["loading"] == "1" and float(said["loading_loaded_perc"]) <= 100
        assert int(said["loading_loaded_bytes"]) <= int(said["loading_total_bytes"])
        for answer, loading in zip(asked, (True, True, False, True)):
            assert (answer == (b"-", b"LOADING Redis is loading the dataset in memory")) == loading, asked
        until(lambda: re.search(r"loading\W+(journal|snapshot): \d+ of \d+ MB", server.log()), 20)
        faults.set("")
    finally:
        starts.join(30)
    assert info(conn)["loading"] == "0"
    assert texts(conn.call("GET", "k1")) == b"v" * 10000
    assert texts(conn.call("DBSIZE")) == 51 and texts(conn.call("XLEN", "s")) == 300


def server_answers(port):
    try:
        Connection(port).close()
        return True
    except OSError:
        return False
