"""The benchmarks' own honesty: what the load generator counts, what it refuses to count, and how rows
are judged. The servers are leat, and redis-server for what streams need."""

import json
import os
import subprocess
import sys
import time

import pytest

from support.servers import TOP, Leat, Redis, leat_binary

sys.path.append(TOP)
from bench.support.rows import Row, line, summary  # noqa: E402

# Built beside the binary under test, or beside the released one.
LOAD = os.path.join(os.path.dirname(leat_binary()), "..", "..", "bench", "load")
if not os.path.exists(LOAD):
    LOAD = os.path.join(TOP, "build", "release", "bench", "load")


def load(server, *words):
    """(exit status, what it printed)"""
    done = subprocess.run([LOAD, "--port", str(getattr(server, "port", server)), *words], capture_output=True,
                          text=True, timeout=60)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def calls(server):
    info = subprocess.run(["redis-cli", "-p", str(server.port), "info", "commandstats"], capture_output=True,
                          text=True).stdout
    return {row.split(":")[0][len("cmdstat_"):]: int(row.split("calls=")[1].split(",")[0])
            for row in info.splitlines() if row.startswith("cmdstat_")}


@pytest.fixture(scope="module")
def leat():
    with Leat() as server:
        yield server.start("--sync", "no")


@pytest.fixture(scope="module")
def redis():
    with Redis() as server:
        yield server.start()


def test_every_command_is_sent_and_counted_once(leat):
    before = calls(leat)
    code, got = load(leat, "-c", "7", "-P", "5", "-n", "1003", "--", "SET", "k:__seq__", "v", ";", "GET", "k:__rand:5__")
    after = calls(leat)
    assert code == 0 and got["sent"] == got["replies"] == 1003 and got["error"] == ""
    counts = {row["command"]: row["count"] for row in got["commands"]}
    assert sum(counts.values()) == 1003
    assert {name.upper(): after[name] - before.get(name, 0) for name in ("set", "get")} == counts


def test_a_rate_is_kept(leat):
    code, got = load(leat, "-c", "3", "--rate", "500", "--seconds", "1", "--", "PING")
    assert code == 0 and 400 <= got["replies"] <= 520


@pytest.mark.parametrize("command, error", [
    (["INCR", "text"], "not an integer"),
    (["NOSUCH"], "unknown command"),
])
def test_an_error_reply_fails_the_run(leat, command, error):
    assert load(leat, "-n", "1", "--", "SET", "text", "x")[0] == 0
    code, got = load(leat, "-n", "1000", "--", *command)
    assert code == 1 and error in got["error"] and got["replies"] == 0


def test_a_lost_connection_fails_the_run():
    with Redis() as server:
        server.start()
        run = subprocess.Popen([LOAD, "--port", str(server.port), "--seconds", "60", "--", "PING"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(0.5)
        server.kill()
        out, _ = run.communicate(timeout=30)
        assert run.returncode == 1 and json.loads(out)["error"]
        code, got = load(server, "-n", "1", "--", "PING")
        assert code == 1 and "connect" in got["error"]


@pytest.mark.parametrize("words", [["--", "GET", "x"], ["-n", "1", "-P", "2", "--", "XRANGE", "s", "__last__", "+"],
                                   ["-n", "1", "--", "GET", ";"], ["-n", "x", "--", "PING"]])
def test_mistakes_are_refused(leat, words):
    code, text = load(leat, *words)
    assert code == 2 and text


def test_streams_are_read_to_their_end(redis):
    assert load(redis, "-n", "5000", "-P", "50", "--", "XADD", "s:__seq:10__", "*", "f", "__data:9__")[0] == 0
    walk = ["-c", "3", "--until-empty", "--", "XRANGE", "s:__walk:10__", "(__last__", "+", "COUNT", "60"]
    assert load(redis, *walk)[1]["entries"] == 5000
    read = ["-c", "3", "--until-empty", "--", "XREAD", "COUNT", "60", "STREAMS", "s:__seq:1__", "__last__"]
    assert load(redis, *read)[1]["entries"] == 3 * 500


def test_what_a_group_reads_is_acknowledged(redis):
    assert load(redis, "-n", "1000", "--", "XADD", "jobs", "*", "f", "v")[0] == 0
    assert load(redis, "-n", "1", "--", "XGROUP", "CREATE", "jobs", "g", "0")[0] == 0
    code, got = load(redis, "-c", "4", "--until-empty", "--", "XREADGROUP", "GROUP", "g", "c__conn__", "COUNT", "30",
                     "STREAMS", "jobs", ">", ";", "XACK", "jobs", "g", "__ids__")
    assert code == 0 and got["entries"] == 1000
    pending = subprocess.run(["redis-cli", "-p", str(redis.port), "xpending", "jobs", "g"], capture_output=True, text=True)
    assert pending.stdout.split()[0] == "0"


def test_rows_are_judged_by_the_median_of_ratios():
    row = Row("t", "r", "/s", [100, 10, 300], [50, 10, 100], at_least=2.0)
    assert row.ratio == 2 and row.met is True and "BELOW" not in line(row)
    # Of the medians it would be 20 / 50:
    assert Row("t", "r", "/s", [100, 10, 20], [50, 10, 100], at_least=1.5).ratio == 1
    late = Row("t", "slow", "us", [30.0], [10.0], at_most=2.0)
    assert late.met is False and "ABOVE" in line(late)
    assert Row("t", "r", "bytes", [65e6], at_most=64e6).met is False
    assert Row("t", "r", "bytes", [63e6], at_most=64e6).met is True
    assert Row("t", "r", "/s", [1.0], [1.0]).met is None
    absent = Row("t", "r", "", absent="XADD")
    assert "not there yet: XADD" in line(absent)
    text = summary([row, late, absent], [("u", "broken")])
    assert "1 goals met, 1 not, 1 not there yet, 1 errors" in text and "slow" in text and "broken" in text
