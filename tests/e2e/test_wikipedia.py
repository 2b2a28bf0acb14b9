"""System 1: the change feed, through examples/wikipedia.yaml, counted as an independent reader counts it."""

import collections
import os
import random
import subprocess
import time

import pytest

from support.feeds import replay, wait_for
from support.recordings import count_domains, write_wiki
from support.resp import Connection, texts
from views import WIKI, buckets, per_domain, total, wait_total


def run_flow(server, feed, *options):
    return server.start(*options, flow=WIKI, env={"LEAT_SOURCE_URL": feed.url})


def check(server, counts):
    """Sums, members and series are what was counted, and stay so."""
    want = sum(counts.values())
    assert wait_total(server.port, want) == want
    time.sleep(0.3)
    conn = Connection(server.port)
    assert total(conn) == want
    assert per_domain(conn) == dict(counts)
    assert all(bucket % 10 == 0 and abs(bucket - time.time()) < 600 for bucket in buckets(conn, "ev"))


def test_a_recording_is_counted(make_leat, tmp_path):
    counts = write_wiki(tmp_path / "wiki.sse", 700)
    with replay(tmp_path / "wiki.sse", "--max") as feed:
        check(run_flow(make_leat(), feed), counts)


@pytest.mark.parametrize("misbehaviour", [
    ["--drop-after", "40"], ["--duplicate", "0.2"], ["--split"], ["--drop-after", "77", "--duplicate", "0.1"]])
def test_a_feed_that_misbehaves_is_counted_all_the_same(make_leat, tmp_path, misbehaviour):
    counts = write_wiki(tmp_path / "wiki.sse", 300)
    with replay(tmp_path / "wiki.sse", "--max", *misbehaviour) as feed:
        check(run_flow(make_leat(), feed), counts)


def test_malformed_events_are_counted_and_not_fatal(make_leat, tmp_path):
    counts = write_wiki(tmp_path / "wiki.sse", 200, malformed=7)
    with replay(tmp_path / "wiki.sse", "--max") as feed:
        server = make_leat()
        check(run_flow(server, feed), counts)


def test_a_compressed_recording(make_leat, tmp_path):
    counts = write_wiki(tmp_path / "wiki.sse", 100)
    subprocess.run(["xz", str(tmp_path / "wiki.sse")], check=True)
    with replay(tmp_path / "wiki.sse.xz", "--max") as feed:
        check(run_flow(make_leat(), feed), counts)


def test_events_reach_other_subscribers(make_leat, tmp_path):
    write_wiki(tmp_path / "wiki.sse", 100)
    with replay(tmp_path / "wiki.sse", "--speed", "2") as feed:
        server = run_flow(make_leat(), feed)
        conn = Connection(server.port)
        assert texts(conn.call("SUBSCRIBE", "wiki")) == [b"subscribe", b"wiki", 1]
        _, message = conn.read(20)
        assert texts(message)[:2] == [b"message", b"wiki"] and b'"domain"' in texts(message)[2]


def test_counts_survive_kill(make_leat, tmp_path):
    """Whatever was counted is still there; no more than the feed gave is ever counted."""
    counts = write_wiki(tmp_path / "wiki.sse", 3000)
    server, rng, seen = make_leat(), random.Random(5), 0
    with replay(tmp_path / "wiki.sse", "--speed", "10") as feed:
        for _ in range(3):
            run_flow(server, feed, "--sync", "always")
            conn = Connection(server.port)
            assert total(conn) >= seen
            wait_for(lambda: total(conn) > seen, 20)
            time.sleep(rng.uniform(0.1, 0.5))
            seen = total(conn)
            server.kill()
            # A bucket and its parts were written together or not at all.
            server.start("--sync", "always")
            conn = Connection(server.port)
            assert total(conn) == sum(per_domain(conn).values()) >= seen
            server.kill()
    assert seen <= 3 * sum(counts.values())


def test_old_buckets_go(make_leat, tmp_path):
    """Fields older than the history are removed at the start, younger ones are not."""
    write_wiki(tmp_path / "wiki.sse", 30)
    server = make_leat().start()
    conn = Connection(server.port)
    old, young = int(time.time()) // 10 * 10 - 5000, int(time.time()) // 10 * 10 - 600
    conn.call("HSET", "ev", old, 5, young, 7)
    conn.call("HSET", "ev:en.wikipedia.org", old, 5, young, 7)
    conn.call("SADD", "known_domains", "en.wikipedia.org")
    server.stop()
    with replay(tmp_path / "wiki.sse", "--max") as feed:
        run_flow(server, feed)
        conn = Connection(server.port)
        assert wait_for(lambda: old not in buckets(conn, "ev") and old not in buckets(conn, "ev:en.wikipedia.org"), 20)
        assert buckets(conn, "ev")[young] == 7


def test_on_a_stock_redis(redis_server, tmp_path, make_leat):
    """The same file, on a redis-server that is already there."""
    counts = write_wiki(tmp_path / "wiki.sse", 300)
    with replay(tmp_path / "wiki.sse", "--max") as feed:
        process = subprocess.Popen(
            [make_leat().binary, "run", WIKI, "--url", "redis://127.0.0.1:%d" % redis_server.port, "--http", "0"],
            env=dict(os.environ, LEAT_SOURCE_URL=feed.url), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            check(redis_server, counts)
        finally:
            process.terminate()
            _, log = process.communicate(timeout=20)
        assert process.returncode == 0, log


# ---- Real recordings ----

def test_recording_of_2021(make_leat, shared_data):
    path = os.path.join(shared_data, "recentchange-2021-08-27.raw.sse.xz")
    counts = count_domains(path)
    assert sum(counts.values()) == 1949
    with replay(path, "--max") as feed:
        check(run_flow(make_leat(), feed), counts)


def test_recording_of_2023_at_full_speed(make_leat, shared_data):
    path = os.path.join(shared_data, "recentchange-2023-01-25.sse.xz")
    counts = count_domains(path)
    assert sum(counts.values()) == 11967 and len(counts) == 128
    with replay(path, "--max") as feed:
        check(run_flow(make_leat(), feed), counts)


def test_recording_of_2023_with_drops_and_duplicates(make_leat, shared_data):
    path = os.path.join(shared_data, "recentchange-2023-01-25.sse.xz")
    with replay(path, "--max", "--drop-after", "1500", "--duplicate", "0.05") as feed:
        check(run_flow(make_leat(), feed), count_domains(path))


def test_jq_counts_the_same(shared_data):
    """The counts above come from Python; jq must agree."""
    path = os.path.join(shared_data, "recentchange-2021-08-27.raw.sse.xz")
    lines = subprocess.run("xz -dc '%s' | grep '^data: ' | head -n 1949 | cut -c7- | jq -r .meta.domain" % path,
                           shell=True, check=True, capture_output=True, text=True).stdout.split()
    assert collections.Counter(lines) == count_domains(path)
