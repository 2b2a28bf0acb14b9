"""redis-cli and redis-benchmark."""

import os
import subprocess
import time

import pytest


def cli(port, *args, stdin=None, timeout=30):
    done = subprocess.run(["redis-cli", "-p", str(port)] + list(args), input=stdin, capture_output=True, timeout=timeout)
    return done.stdout


def watch(port, *args, seconds):
    """Runs something that does not end by itself; what it printed until then."""
    process = subprocess.Popen(["stdbuf", "-oL", "redis-cli", "-p", str(port)] + list(args), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    time.sleep(seconds)
    process.terminate()
    return process.communicate(timeout=10)[0].decode()


def test_commands(either):
    assert cli(either.port, "PING") == b"PONG\n"
    assert cli(either.port, "SET", "k", "v") == b"OK\n"
    assert cli(either.port, "-3", "HSET", "h", "f", "v") == b"1\n"
    assert cli(either.port, "-3", "--no-raw", "HGETALL", "h") == b'1# "f" => "v"\n'
    assert cli(either.port, "-n", "3", "DBSIZE") == b"0\n"
    assert cli(either.port, "NOSUCH").startswith(b"ERR unknown command")
    assert cli(either.port, "-x", "SET", "stdin", stdin=b"from stdin") == b"OK\n"
    assert cli(either.port, "GET", "stdin") == b"from stdin\n"
    assert cli(either.port, stdin=b"MULTI\nSET a 1\nINCR a\nEXEC\n") == b"OK\nQUEUED\nQUEUED\nOK\n2\n"
    assert b"redis_version:" in cli(either.port, "INFO", "server")


def test_scan_and_keys(either):
    for i in range(50):
        assert cli(either.port, "SET", "key:%d" % i, "x") == b"OK\n"
    assert len(cli(either.port, "--scan", "--pattern", "key:*").split()) == 50
    assert b"Sampled 50 keys" in cli(either.port, "--bigkeys")
    assert b"Sampled 50 keys" in cli(either.port, "--memkeys")


def test_mass_insertion(either):
    data = b"".join(b"*3\r\n$3\r\nSET\r\n$%d\r\nk%d\r\n$1\r\nv\r\n" % (len(str(i)) + 1, i) for i in range(20000))
    out = cli(either.port, "--pipe", stdin=data)
    assert b"errors: 0, replies: 20000" in out
    assert cli(either.port, "DBSIZE") == b"20000\n"


def test_latency(either):
    # Not on a terminal it measures for one second and prints one line: min max avg count.
    fields = cli(either.port, "--latency", "-i", "1", "--raw", timeout=20).split()
    assert len(fields) >= 3 and float(fields[2]) < 100


def test_stat(either):
    text = watch(either.port, "--stat", "-i", "0.2", seconds=1.2)
    assert "keys" in text and len([line for line in text.splitlines() if line.strip()[:1].isdigit()]) >= 2


def test_monitor(either):
    process = subprocess.Popen(["redis-cli", "-p", str(either.port), "MONITOR"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"OK\n"
    cli(either.port, "-n", "2", "SET", "k", 'a"b')
    # redis-cli says SELECT first
    lines = [process.stdout.readline() for _ in range(2)]
    process.terminate()
    process.wait(10)
    process.stdout.close()
    set_line = [line for line in lines if b'"SET"' in line]
    assert set_line and b'[2 127.0.0.1:' in set_line[0] and b'"SET" "k" "a\\"b"' in set_line[0]


def test_subscribe_from_the_shell(either):
    process = subprocess.Popen(["redis-cli", "-p", str(either.port), "SUBSCRIBE", "news"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE)
    assert [process.stdout.readline() for _ in range(3)] == [b"subscribe\n", b"news\n", b"1\n"]
    assert cli(either.port, "PUBLISH", "news", "hello") == b"1\n"
    assert [process.stdout.readline() for _ in range(3)] == [b"message\n", b"news\n", b"hello\n"]
    process.terminate()
    process.wait(10)
    process.stdout.close()


@pytest.mark.parametrize("pipeline", ["1", "32"])
def test_benchmark(either, pipeline):
    done = subprocess.run(
        ["redis-benchmark", "-p", str(either.port), "-t", "ping,set,get,incr,hset,sadd,zadd", "-P", pipeline, "-n", "2000",
         "-c", "20", "-r", "1000", "--csv"], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    rows = dict(line.split(",")[:2] for line in done.stdout.replace('"', "").splitlines()[1:] if "," in line)
    assert set(rows) >= {"PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "HSET", "SADD", "ZADD"}
    assert all(float(v) > 100 for v in rows.values())
    assert "error" not in done.stderr.lower(), done.stderr


def test_nothing_left_running():
    assert os.environ.get("REDISCLI_AUTH") is None  # would change what the above test
