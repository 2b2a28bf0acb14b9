"""Durable channels from outside: named subscribers that are killed, stopped, slowed and started again, a server that
is killed, and every acknowledged PUBLISH comes to every one of them, for the first time in order."""

import contextlib
import os
import random
import re
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.request

import pytest
import redis

from support.resp import Connection, encode, texts
from support.servers import TOP

PROGRAMS = os.path.join(TOP, "tests", "support", "durable")
WINDOW = 256 << 10


def wait_until(what, seconds=60):
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "waited for %d s" % seconds
        time.sleep(0.05)


class Program:
    """A subscriber in a process of its own, which appends what it gets to a file: one line a message. Beside it
    stands in the file where each of its lives began."""

    def __init__(self, kind, port, name, channel, folder, *options):
        self.path = os.path.join(folder, "%s-%s.txt" % (name, channel))
        program = {"python": ["/usr/bin/python3", os.path.join(PROGRAMS, "subscriber.py")],
                   "node": ["node", os.path.join(PROGRAMS, "subscriber.mjs")]}[kind]
        self.command = program + [str(port), name, channel, self.path] + list(options)
        self.process = None

    def start(self):
        before = self.text().count("# ")
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, start_new_session=True)
        wait_until(lambda: self.text().count("# ") > before)

    def text(self):
        try:
            with open(self.path) as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        if self.process:
            self.process.wait()
        self.process = None

    def lives(self):
        """Of each life the numbers that came, but for a line that was cut off by a kill."""
        found = []
        for line in self.text().split("\n")[:-1]:
            if line.startswith("# "):
                found.append([])
            elif line:
                found[-1].append(line)
        return found


def check(program, published, message_bytes, bytes_again_max=None):
    """Everything published, for the first time in order; and on one connection nothing twice."""
    position = {text: i for i, text in enumerate(published)}
    following = None
    for life in program.lives():
        places = [position[text] for text in life]
        assert places == sorted(set(places)), "%s: not in order on one connection" % program.path
        if following is None and places:
            following = places[0]
        again = [p for p in places if p < following]
        for p in places:
            assert p <= following, "%s: %d came when %d was to come" % (program.path, p, following)
            following = max(following, p + 1)
        if bytes_again_max is not None:
            assert len(again) * message_bytes <= bytes_again_max, len(again) * message_bytes
    return following


class Publisher(threading.Thread):
    """Publishes for as long as it may and notes, in order, what was acknowledged. What was sent and not acknowledged
    when the server died may be there or not: it is asked for in the stream."""

    def __init__(self, port, channel, size=200, pause=0.0):
        super().__init__(daemon=True)
        self.port, self.channel, self.size, self.pause = port, channel, size, pause
        self.acknowledged, self.going, self.failed = [], True, None

    def run(self):
        n = 0
        client = redis.Redis(port=self.port, socket_timeout=10)
        while self.going:
            text = "%s-%d-" % (self.channel, n)
            text += "x" * (self.size - len(text))
            n += 1
            try:
                client.publish(self.channel, text)
                self.acknowledged.append(text)
            except (redis.ConnectionError, redis.TimeoutError):
                client.connection_pool.disconnect()
                time.sleep(0.05)
            except Exception as e:
                self.failed = e
                return
            if self.pause:
                time.sleep(self.pause)

    def stop(self):
        self.going = False
        self.join(30)
        assert self.failed is None, self.failed


def stream_of(port, channel):
    client = redis.Redis(port=port, decode_responses=True)
    found, at = [], "-"
    while True:
        part = client.xrange(channel, at, "+", count=1000)
        if not part:
            return found
        found += [fields["data"] for _, fields in part]
        at = "(" + part[-1][0]


@pytest.fixture
def durable(make_leat):
    return make_leat().start("--sync", "no", "--durable", "news*", "--loglevel", "verbose")


def everything_came(programs, port, channel):
    published = stream_of(port, channel)
    if not published:
        return False
    return all(p.lives() and p.lives()[-1] and p.lives()[-1][-1] == published[-1] for p in programs)


@contextlib.contextmanager
def at_work(publisher, programs):
    try:
        for p in programs:
            p.start()
        publisher.start()
        yield
    finally:
        publisher.going = False
        for p in programs:
            p.kill()


def stop_and_check(publisher, programs):
    """When all has come to everybody: what was published."""
    publisher.stop()
    wait_until(lambda: everything_came(programs, publisher.port, publisher.channel))
    published = stream_of(publisher.port, publisher.channel)
    for p in programs:
        assert check(p, published, publisher.size) == len(published)
    return published


@pytest.mark.parametrize("seed", range(1, 40 if os.environ.get("LEAT_TORTURE") else 2))
def test_subscribers_are_killed_stopped_and_restarted(durable, tmp_path, seed):
    rng = random.Random(seed)
    programs = [Program(kind, durable.port, "%s%d" % (kind, i), "news", str(tmp_path), *options)
                for i, (kind, options) in enumerate([("python", []), ("node", []), ("python", ["--slow"])])]
    publisher = Publisher(durable.port, "news", pause=0.001)
    with at_work(publisher, programs):
        for _ in range(8):
            p = rng.choice(programs)
            what = rng.choice(["kill", "stop", "kill while stopped", "terminate"])
            if what.startswith("stop") or "stopped" in what:
                p.signal(signal.SIGSTOP)
                time.sleep(rng.random())
            if "kill" in what:
                p.kill()
                time.sleep(rng.random() * 0.5)
                p.start()
            elif what == "terminate":
                p.signal(signal.SIGTERM)
                p.process.wait()
                time.sleep(rng.random() * 0.5)
                p.start()
            else:
                p.signal(signal.SIGCONT)
            time.sleep(0.2)
        assert stop_and_check(publisher, programs) == publisher.acknowledged


def test_server_is_killed(make_leat, tmp_path):
    leat = make_leat()
    leat.start("--sync", "always", "--durable", "news*")
    programs = [Program(kind, leat.port, kind, "news", str(tmp_path)) for kind in ("python", "node")]
    publisher = Publisher(leat.port, "news")
    with at_work(publisher, programs):
        for _ in range(3):
            time.sleep(0.7)
            leat.kill()
            time.sleep(0.1)
            leat.start("--sync", "always", "--durable", "news*")
        time.sleep(0.5)
        assert set(publisher.acknowledged) <= set(stop_and_check(publisher, programs))


def test_from_history_to_live_under_full_load(durable, tmp_path):
    """Subscribers come back again and again while a pipelining publisher does not pause."""
    program = Program("python", durable.port, "me", "news", str(tmp_path))
    going, published = True, []

    def publish():
        client = Connection(durable.port)
        n = 0
        while going:
            messages = [b"%d" % i for i in range(n, n + 500)]
            client.send(b"".join(encode([b"PUBLISH", b"news", t]) for t in messages))
            for _ in messages:
                assert client.read()[1][0] == b":"
            published.extend(t.decode() for t in messages)
            n += 500

    thread = threading.Thread(target=publish, daemon=True)
    try:
        program.start()
        thread.start()
        for _ in range(6):
            time.sleep(0.4)
            program.kill()
            time.sleep(0.2)
            program.start()
        time.sleep(0.5)
        going = False
        thread.join(30)
        wait_until(lambda: program.lives()[-1] and program.lives()[-1][-1] == published[-1])
        assert check(program, published, 60) == len(published)
    finally:
        going = False
        program.kill()


@pytest.mark.parametrize("reset", [False, True])
def test_redelivery_is_within_the_window(durable, reset):
    """After an orderly close no more than 256 KB come again, and what lies between two checkpoints; after a reset
    what the peer's kernel may have held unread comes on top."""
    client = redis.Redis(port=durable.port)
    size, total = 1000, 12000

    def subscribe():
        c = Connection(durable.port)
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0) if reset else struct.pack("ii", 0, 0))
        c.call(b"CLIENT", b"SETNAME", b"me")
        assert texts(c.call(b"SUBSCRIBE", b"news"))[0] == b"subscribe"
        return c

    def read(c, upto):
        """The numbers that come, to this one."""
        found = []
        while not found or found[-1] != upto:
            found.append(int(texts(c.read()[1])[2].split(b":")[0]))
        return found

    c = subscribe()
    with client.pipeline(transaction=False) as many:
        for n in range(total):
            many.publish("news", b"%d:" % n + b"x" * size)
        many.execute()
    assert read(c, total - 1) == list(range(total))
    time.sleep(0.7)
    c.close()
    wait_until(lambda: client.pubsub_numsub("news")[0][1] == 0)
    c = subscribe()
    again = read(c, total - 1)
    assert again == list(range(again[0], total))
    if reset:  # what the window scale allows may be more than all there is
        assert len(again) * (size + 40) > WINDOW + 65536
    else:
        assert WINDOW * 0.8 < len(again) * (size + 40) < WINDOW + (40 << 10)
    c.close()


def resident(leat):
    with open("/proc/%d/status" % leat.process.pid) as f:
        return int(next(line for line in f if line.startswith("VmRSS:")).split()[1]) * 1024


def test_memory_of_many_slow_subscribers(make_leat):
    """What they have not read is in the stream, not in memory; and all of it comes when one reads at last."""
    leat = make_leat().start("--sync", "no", "--durable", "news*")
    slow, count, size, messages = [], 1000, 16384, 640
    client = redis.Redis(port=leat.port)
    client.ping()
    before = resident(leat)
    for n in range(count):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", leat.port))
        s.sendall(b"CLIENT SETNAME slow%d\r\nSUBSCRIBE news1\r\n" % n)
        slow.append(s)
    wait_until(lambda: client.pubsub_numsub("news1")[0][1] == count)
    for n in range(messages):
        assert client.publish("news1", (b"%d:" % n).ljust(size, b"x")) == count
    grown = resident(leat) - before
    assert grown < 100 << 20, "%d MB" % (grown >> 20)
    s = slow[500]
    s.settimeout(30)
    data = bytearray()
    want = len(b"+OK\r\n*3\r\n$9\r\nsubscribe\r\n$5\r\nnews1\r\n:1\r\n")
    want += messages * (size + len(b"*3\r\n$7\r\nmessage\r\n$5\r\nnews1\r\n$16384\r\n\r\n"))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    while len(data) < want:
        part = s.recv(1 << 20)
        assert part, "closed by the server"
        data += part
    numbers = [int(n) for n in re.findall(rb"\r\n(\d+):x", bytes(data))]
    assert numbers == list(range(messages))
    for s in slow:
        s.close()


def test_a_message_above_the_output_limit(durable):
    """client-output-buffer-limit does not count what is durable: 40 MB come to who reads slowly, too."""
    client = redis.Redis(port=durable.port)
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", durable.port))
        s.settimeout(20)
        s.sendall(b"CLIENT SETNAME me\r\nSUBSCRIBE news\r\n")
        wait_until(lambda: client.pubsub_numsub("news")[0][1] == 1)
        assert client.publish("news", b"x" * (40 << 20)) == client.publish("news", b"end") == 1
        time.sleep(0.5)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        got = b""
        count = 0
        while not got.endswith(b"$3\r\nend\r\n"):
            part = s.recv(1 << 20)
            assert part, "closed by the server"
            count += len(part)
            got = (got + part)[-100:]
        assert count > 40 << 20


def test_commands(durable):
    client = redis.Redis(port=durable.port, decode_responses=True)
    base = int(time.time() * 1000) - 10000  # older ones retention takes away
    for n in range(5):
        client.xadd("news", {"data": n}, id="%d-0" % (base + 1000 * (n + 1)))
    client.execute_command("PUBSUB DURABLE RESET news me 0")
    client.execute_command("PUBSUB DURABLE RESET news late %d" % (base + 3000))

    def listed():
        rows = client.execute_command("PUBSUB DURABLE LIST news")
        return {r["name"]: r for r in (dict(zip(row[::2], row[1::2])) for row in rows)}

    rows = listed()
    assert rows["me"]["lag"] == 5 and rows["late"]["lag"] == 3 and rows["me"]["state"] == "absent"
    named = redis.Redis(port=durable.port, decode_responses=True, client_name="late")
    sub = named.pubsub(ignore_subscribe_messages=True)
    sub.subscribe("news")
    got = []
    wait_until(lambda: (got.append(sub.get_message(timeout=0.1)) or len([m for m in got if m]) == 3), 10)
    assert [m["data"] for m in got if m] == ["2", "3", "4"]
    assert listed()["late"]["state"] == "live"
    with pytest.raises(redis.ResponseError, match="connected"):
        client.execute_command("PUBSUB DURABLE FORGET news late")
    assert client.execute_command("PUBSUB DURABLE FORGET news me") == 1
    assert client.execute_command("PUBSUB DURABLE FORGET news me") == 0
    told = client.execute_command("PUBSUB SUBSCRIBERS news")
    row = dict(zip(told[1][0][::2], told[1][0][1::2]))
    assert row["name"] == "late" and row["state"] == "live"
    client.execute_command("PUBSUB DURABLE RESET news late %d" % (base + 4000))
    got.clear()
    wait_until(lambda: (got.append(sub.get_message(timeout=0.1)) or len([m for m in got if m]) == 2), 10)
    assert [m["data"] for m in got if m] == ["3", "4"]
    assert {g["name"] for g in client.xinfo_groups("news")} == {"durable:late"}


def test_metrics(make_leat):
    """What becomes of subscribers is counted under the names that the documentation gives."""
    leat = make_leat().start("--sync", "no", "--durable", "news*", "--durable-names", "app-*", http=True)
    client = redis.Redis(port=leat.port)
    client.config_set("durable-subscribers-max", 1)

    def metric(name):
        with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % leat.http_port, timeout=10) as r:
            return int(re.search(r"^leat_durable_%s (\d+)$" % name, r.read().decode(), re.M).group(1))

    def subscribe(name):
        c = Connection(leat.port)
        c.call(b"CLIENT", b"SETNAME", name)
        assert texts(c.call(b"SUBSCRIBE", b"news"))[0] == b"subscribe"
        return c

    one, other, nobody = subscribe(b"app-1"), subscribe(b"app-2"), subscribe(b"else")
    assert client.publish("news", "x") == 3
    client.xadd("news", {"no": "message"})
    wait_until(lambda: metric("live") == 1 and metric("published_total") == 1 and metric("skipped_total") == 1)
    assert metric("over_limit_total") == 1 and metric("absent") == 0
    time.sleep(0.3)  # a checkpoint is taken
    one.close()
    wait_until(lambda: metric("live") == 0 and metric("absent") == 1 and metric("redelivered_total") > 0)
    other.close()
    nobody.close()
