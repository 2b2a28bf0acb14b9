"""leat pub, sub and subscribers, against redis-server and leat; what is durable goes through streams
where a server has no durable channels."""

import json
import socket
import subprocess
import threading
import time

import pytest

from support.resp import Incomplete, parse, texts
from support.servers import leat_binary


@pytest.fixture
def durable(cli):
    """The same where `sub --durable` works: on leat by its setting, elsewhere by streams."""
    cli.here = cli.kind == "leat"
    if cli.here:
        assert cli.call("CONFIG", "SET", "durable", "kept*") == (b"+", b"OK")
    return cli


def wait_subscribed(cli, channel, count=1):
    until = time.monotonic() + 20
    while int(texts(cli.call("PUBSUB", "NUMSUB", channel))[1]) != count:
        assert time.monotonic() < until
        time.sleep(0.02)


def wait_patterns(cli, count=1):
    until = time.monotonic() + 20
    while int(cli.call("PUBSUB", "NUMPAT")[1]) != count:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_pub_and_sub(cli):
    assert cli.lines("pub", "news", "nobody hears") == ["0"]
    running = cli.start("sub", "news")
    wait_subscribed(cli, "news")
    assert cli.lines("pub", "news", "one", "two words", "-3") == ["1", "1", "1"]
    assert cli.json("pub", "news", "four") == [{"channel": "news", "receivers": 1}]
    assert cli.lines("pub", "news", "-q", "--", "--five") == []
    assert running.wait_lines(5) == ["one", "two words", "-3", "four", "--five"]
    assert running.stop() == 0 and running.err() == ""


def test_pub_lines(cli):
    running = cli.start("sub", "news", "--count", "3000")
    wait_subscribed(cli, "news")
    counts = cli.lines("pub", "news", stdin="".join("line %d\n" % n for n in range(2999)) + "last")
    assert counts == ["1"] * 3000
    assert running.wait_lines(3000) == ["line %d" % n for n in range(2999)] + ["last"]
    assert running.process.wait(20) == 0


def test_pub_sends_at_once(cli):
    sub = cli.start("sub", "news")
    wait_subscribed(cli, "news")
    pub = cli.start("pub", "news", stdin=subprocess.PIPE)
    for n in range(1, 4):
        pub.process.stdin.write(b"x\n")
        pub.process.stdin.flush()
        pub.wait_lines(n)
        sub.wait_lines(n)
    pub.process.stdin.close()
    assert pub.process.wait(20) == 0


def test_sub_several_and_json(cli):
    running = cli.start("sub", "a", "b c", "--json")
    wait_subscribed(cli, "b c")
    plain = cli.start("sub", "a", "b c")
    wait_subscribed(cli, "b c", 2)
    cli.call("PUBLISH", "a", "x\ny")
    cli.call("PUBLISH", "b c", b"\xff\x00")
    assert [json.loads(line) for line in running.wait_lines(2)] == [
        {"channel": "a", "message": "x\ny"}, {"channel": "b c", "message": "\ufffd\x00"}]
    plain.wait_lines(3)
    assert plain.text[plain.process.stdout] == b'a x\ny\n"b c" \xff\x00\n'


def test_sub_pattern(cli):
    running = cli.start("sub", "--pattern", "news.*", "--json")
    wait_patterns(cli)
    plain = cli.start("sub", "-p", "news.??")
    wait_patterns(cli, 2)
    cli.call("PUBLISH", "news.de", "hallo")
    cli.call("PUBLISH", "olds", "no")
    cli.call("PUBLISH", "news.fr", "salut")
    assert [json.loads(line) for line in running.wait_lines(2)] == [
        {"channel": "news.de", "pattern": "news.*", "message": "hallo"},
        {"channel": "news.fr", "pattern": "news.*", "message": "salut"}]
    assert plain.wait_lines(2) == ["news.de hallo", "news.fr salut"]
    assert running.stop() == 0


def test_sub_subscribes_again(cli):
    running = cli.start("sub", "news")
    wait_subscribed(cli, "news")
    cli.call("CLIENT", "KILL", "TYPE", "pubsub")
    running.wait_for("connected again", where=running.err)
    wait_subscribed(cli, "news")
    cli.call("PUBLISH", "news", "after")
    assert running.wait_lines(1) == ["after"]
    assert "--durable" in running.err()
    assert running.stop() == 0


def test_sub_ends_when_nobody_reads(cli):
    running = cli.start("sub", "news")
    wait_subscribed(cli, "news")
    running.process.stdout.close()
    assert running.process.wait(20) == 0
    running.process.stdout = open("/dev/null", "rb")
    running.text = {running.process.stdout: b"", running.process.stderr: b""}
    assert running.err() == ""


@pytest.mark.parametrize("words", [
    ["pub"], ["sub"], ["subscribers"], ["sub", "a", "--from", "START"], ["sub", "a", "--durable", ""],
    ["sub", "a", "a"], ["sub", "a", "--count", "x"], ["sub", "--pattern", "kept*", "--durable", "n"],
])
def test_wrong_usage(cli, words):
    done = cli.run(*words, status=2)
    assert done.stderr and not done.stdout


def test_nobody_there(cli):
    for words in ["pub", "a", "b"], ["sub", "a"], ["sub", "a", "--durable", "n"], ["subscribers", "a"]:
        assert "leat serve" in cli.run(*words, url="redis://127.0.0.1:1", status=3).stderr


def test_subscribers(cli):
    listens = [cli.start("sub", "news", *(["--durable", "first"] if cli.kind == "leat" else [])), cli.start("sub", "news")]
    wait_subscribed(cli, "news", 2)
    done = cli.run("subscribers", "news", "none")
    if cli.kind == "leat":
        told = cli.json("subscribers", "news", "none")
        assert len(told) == 2 and all(t["channel"] == "news" and t["addr"].startswith("127.0.0.1:") for t in told)
        assert all(abs(t["since_ms"] / 1000 - time.time()) < 60 and t["lag_messages"] == 0 for t in told)
        assert "first" in [t["name"] for t in told]
        assert done.stdout.startswith("CHANNEL ") and len(done.stdout.splitlines()) == 3
    else:
        assert done.stdout.splitlines() == ["CHANNEL SUBSCRIBERS", "news 2", "none 0"]
        assert cli.json("subscribers", "news", "none") == [
            {"channel": "news", "subscribers": 2}, {"channel": "none", "subscribers": 0}]
        assert "leat tells" in done.stderr
    assert [running.stop() for running in listens] == [0, 0]


# ---- durable ----

def wait_durable(cli, running, channel):
    """Until a durable subscriber is there, whichever way."""
    if cli.here:
        wait_subscribed(cli, channel)
        return
    until = time.monotonic() + 20
    while not any(isinstance(group, list) and group[3] > 0 for group in texts(cli.call("XINFO", "GROUPS", channel))):
        assert time.monotonic() < until, running.err()
        time.sleep(0.05)


def test_durable_gets_what_it_missed(durable):
    cli = durable
    running = cli.start("sub", "kept", "--durable", "billing")
    wait_durable(cli, running, "kept")
    cli.run("pub", "kept", "--durable", "one", "two")
    assert running.wait_lines(2) == ["one", "two"]
    time.sleep(0.5)  # the acknowledgement
    assert running.stop() == 0
    assert ("instead" in running.err()) == (not cli.here)
    cli.run("pub", "kept", "--durable", "-q", stdin="three\nfour\n")
    running = cli.start("sub", "kept", "--durable", "billing")
    running.wait_for("four\n")
    cli.run("pub", "kept", "--durable", "five")
    running.wait_for("five\n")
    assert running.out().splitlines()[-3:] == ["three", "four", "five"]
    assert running.stop() == 0


def test_durable_survives_a_broken_connection(durable):
    cli = durable
    running = cli.start("sub", "kept", "--durable", "billing", "--json")
    wait_durable(cli, running, "kept")
    cli.run("pub", "kept", "--durable", "one")
    running.wait_lines(1)
    time.sleep(0.5)
    cli.call("CLIENT", "KILL", "TYPE", "pubsub" if cli.here else "normal", "SKIPME", "yes")
    cli.run("pub", "kept", "--durable", *["n%d" % n for n in range(20)])
    running.wait_for('"n19"')
    told = [json.loads(line)["message"] for line in running.out().splitlines()]
    assert [m for m in told if m != "one"][-20:] == ["n%d" % n for n in range(20)]
    assert running.stop() == 0


def test_durable_on_a_server_without_it(durable):
    cli = durable
    if cli.here:
        pytest.skip("this server has durable channels")
    cli.run("pub", "kept", "--durable", "one", "two")
    running = cli.start("sub", "kept", "--durable", "late", "--json", "--from", "START")
    told = [json.loads(line) for line in running.wait_lines(2)]
    assert [(t["channel"], t["message"]) for t in told] == [("kept", "one"), ("kept", "two")]
    assert running.stop() == 0
    # It has a position now; --from moves it.
    running = cli.start("sub", "kept", "--durable", "late", "--from", told[1]["id"])
    assert running.wait_lines(1) == ["two"]
    cli.call("XADD", "kept", "*", "other", "field")
    running.wait_for("no field `data'", where=running.err)
    assert running.stop() == 0
    assert texts(cli.call("XPENDING", "kept", "late"))[0] == 0
    # Ordinary subscribers hear it too.
    plain = cli.start("sub", "kept")
    wait_subscribed(cli, "kept")
    assert cli.lines("pub", "kept", "--durable", "three") == ["1"]
    assert plain.wait_lines(1) == ["three"]


def test_durable_channels_of_the_server(durable):
    cli = durable
    if not cli.here:
        pytest.skip("this server has no durable channels")
    assert "CONFIG SET durable" in cli.run("pub", "ordinary", "--durable", "x", status=1).stderr
    running = cli.start("sub", "ordinary", "--durable", "n")
    running.wait_for("CONFIG SET durable", where=running.err)
    assert running.stop() == 0


def test_from_moves_the_position_that_the_server_keeps(durable):
    cli = durable
    if not cli.here:
        pytest.skip("this server has no durable channels")
    cli.run("pub", "kept", "one", "two", "three")
    running = cli.start("sub", "kept", "--durable", "late", "--from", "START")
    assert running.wait_lines(3) == ["one", "two", "three"]
    assert running.stop() == 0
    second = texts(cli.call("XRANGE", "kept", "-", "+"))[1][0].decode()
    running = cli.start("sub", "kept", "--durable", "other", "--from", second)
    assert running.wait_lines(2) == ["two", "three"]
    assert running.stop() == 0


# ---- what only leat answers, as it is agreed upon ----

class Fake:
    """A server with scripted answers; `seen` is what it was asked."""

    def __init__(self, answers):
        self.answers, self.seen = answers, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "redis://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(peer,), daemon=True).start()

    def answer(self, peer):
        data = b""
        with peer:
            while more := peer.recv(65536):
                data += more
                try:
                    while data:
                        command, end = parse(data)
                        data = data[end:]
                        words = b" ".join(texts(command)).decode()
                        self.seen.append(words)
                        peer.sendall(self.answers.get(words, b"+OK\r\n"))
                except Incomplete:
                    pass

    def close(self):
        self.listener.close()


def bulk(*texts_):
    return b"".join(b"$%d\r\n%s\r\n" % (len(t), t) for t in texts_)


@pytest.mark.parametrize("maps", [True, False])
def test_subscribers_as_leat_tells(maps):
    """With maps of RESP3, and flat lists where HELLO is refused. Fields it does not know yet are shown too."""
    def mapped(count, items):
        return (b"%%%d\r\n" % count if maps else b"*%d\r\n" % (2 * count)) + items

    def one(name, *more):
        return mapped(4 + len(more) // 2, bulk(b"name", name, b"addr", b"127.0.0.1:5", b"since-ms") + b":1795281361250\r\n"
                      + bulk(b"lag-ms") + b":1500\r\n" + b"".join(more))
    fake = Fake({
        "HELLO 3": b"%0\r\n" if maps else b"-ERR unknown command 'HELLO'\r\n",
        "PUBSUB SUBSCRIBERS news none": mapped(2, bulk(b"news") + b"*2\r\n" + one(b"", bulk(b"more-of"), b"*1\r\n:7\r\n")
                                               + one(b"two words") + bulk(b"none") + b"*0\r\n"),
        "PUBSUB SUBSCRIBERS none": mapped(1, bulk(b"none") + b"*0\r\n")})

    def run(*words):
        return subprocess.run([leat_binary(), "subscribers", *words, "--url", fake.url], capture_output=True,
                              text=True, timeout=30)
    done = run("news", "none")
    assert done.returncode == 0 and done.stderr == ""
    time_ = "2026-11-21T17:16:01.250Z"
    assert done.stdout.splitlines() == [
        "CHANNEL NAME ADDR SINCE LAG MORE-OF", "news - 127.0.0.1:5 %s 1500ms [7]" % time_,
        'news "two words" 127.0.0.1:5 %s 1500ms -' % time_]
    told = [json.loads(line) for line in run("news", "none", "--json").stdout.splitlines()]
    common = {"channel": "news", "addr": "127.0.0.1:5", "since_ms": 1795281361250, "lag_ms": 1500}
    assert told == [dict(common, name="", more_of=[7]), dict(common, name="two words")]
    done = run("none")
    assert done.returncode == 0 and done.stdout == "" and "nobody" in done.stderr
    fake.close()


def test_durable_as_leat_does_it():
    fake = Fake({"CONFIG GET durable": b"*2\r\n" + bulk(b"durable", b"a kept*"),
                 "SUBSCRIBE kept.1": b"*3\r\n" + bulk(b"subscribe", b"kept.1") + b":1\r\n"
                                     + b"".join(b"*3\r\n" + bulk(b"message", b"kept.1", m) for m in (b"missed", b"live", b"x"))})
    done = subprocess.run([leat_binary(), "sub", "kept.1", "--durable", "billing", "--count", "2", "--url", fake.url],
                          capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "missed\nlive\n", "")
    assert fake.seen == ["CONFIG GET durable", "CLIENT SETNAME billing", "SUBSCRIBE kept.1"]
    done = subprocess.run([leat_binary(), "pub", "other", "--durable", "x", "--url", fake.url],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "CONFIG SET durable" in done.stderr and "a kept*" in done.stderr
    fake.close()
