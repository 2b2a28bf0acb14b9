"""What the commands for people have in common: help, the server's address, the terminal."""

import os
import pty
import random
import re
import select
import signal
import socket
import subprocess
import threading
import time

import pytest

from support.cli import Cli
from support.servers import Redis, leat_binary

COMMANDS = "add read streams groups lag pending claim trim pub sub subscribers".split()
SHORTEST = {"add": ["s", "a", "b"], "read": ["s"], "streams": [], "groups": ["s"], "lag": [], "pending": ["s", "g"],
            "claim": ["s", "g", "c", "--idle", "0s"], "trim": ["s", "--maxlen", "1"], "pub": ["c", "m"],
            "sub": ["c"], "subscribers": ["c"]}


def leat(*words, url="redis://127.0.0.1:1", env=None):
    return subprocess.run([leat_binary()] + list(words), capture_output=True, text=True, timeout=30,
                          stdin=subprocess.DEVNULL, env=dict(os.environ, LEAT_URL=url, **(env or {})))


@pytest.mark.parametrize("name", COMMANDS)
def test_help_teaches(name):
    done = leat(name, "--help")
    assert done.returncode == 0 and done.stderr == ""
    for part in ["Usage: leat %s" % name, "Examples:\n  leat %s" % name, "Exit status: 0 done; 1 refused", "--json", "--url"]:
        assert part in done.stdout, part
    assert leat("help", name).stdout == done.stdout
    assert re.search(r"^  %s +\S" % name, leat("help").stdout, re.M)


@pytest.mark.parametrize("name", COMMANDS)
def test_statuses(name):
    """Each tells a server that is not there, and an option that is not, by status and remedy."""
    done = leat(name, *SHORTEST[name])
    assert done.returncode == 3 and done.stdout == ""
    assert "Connection refused" in done.stderr and "leat serve" in done.stderr
    done = leat(name, "--nope", *SHORTEST[name])
    assert done.returncode == 2 and "--help" in done.stderr


def test_the_option_wins_over_the_environment(redis_server):
    url = "redis://127.0.0.1:%d/3" % redis_server.port
    assert leat("add", "s", "a", "b", "--url", url).returncode == 0
    assert leat("read", "s", url=url).returncode == 0
    assert leat("read", "s", url="redis://127.0.0.1:%d/2" % redis_server.port).returncode == 1


def test_passwords_and_sockets(tmp_path):
    with Redis() as server:
        path = "/tmp/leat-test-%d.sock" % server.port
        server.start("--requirepass", "open sesame", "--unixsocket", path)
        tcp = "redis://%s127.0.0.1:%d"
        done = leat("add", "s", "a", "b", url=tcp % ("", server.port))
        assert done.returncode == 1 and "NOAUTH" in done.stderr and "LEAT_URL" in done.stderr
        done = leat("add", "s", "a", "b", url=tcp % (":wrong@", server.port))
        assert done.returncode == 3 and "check user and password" in done.stderr and "wrong@" not in done.stderr
        assert leat("add", "s", "a", "b", url=tcp % (":open%20sesame@", server.port)).returncode == 0
        done = leat("read", "s", url="unix://:open%20sesame@" + path)
        assert done.returncode == 0 and done.stdout.endswith(" a=b\n")


def test_a_server_that_speaks_something_else(redis_server):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def answer():
            peer, _ = listener.accept()
            peer.recv(1000)
            peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            peer.close()
        thread = threading.Thread(target=answer)
        thread.start()
        done = leat("streams", url="redis://127.0.0.1:%d" % listener.getsockname()[1])
        thread.join()
    assert done.returncode == 3 and "does not speak the Redis protocol" in done.stderr


class Liar:
    """A server whose every answer is some well-formed reply, mostly the wrong one."""

    WORDS = [b"", b"1-0", b"0-0", b"name", b"s", b"message", b"pending", b"lag", b"durable", b"data", b"\xff\x1b[2J", b"x" * 300,
             b"99999999999999999999-1", b"1795281361250-0", b"length", b"consumers", b"first-entry", b"subscribe", b"*"]

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "redis://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def reply(self, depth=0):
        rng = self.rng
        kind = rng.choice("$$$::+*%" if depth else "$:+-***%%") if depth < 4 else "$"
        if kind == "$":
            word = rng.choice(self.WORDS)
            return b"$-1\r\n" if rng.random() < 0.1 else b"$%d\r\n%s\r\n" % (len(word), word)
        if kind == ":":
            return b":%d\r\n" % rng.choice([0, 1, -1, 2, 2**63 - 1, -2**63])
        if kind in "+-":
            return kind.encode() + rng.choice([b"OK", b"ERR no", b"NOGROUP", b"subcommand"]) + b"\r\n"
        count = rng.choice([0, 1, 2, 2, 3, 4, 6])
        elements = count * 2 if kind == "%" else count
        return b"%s%d\r\n" % (kind.encode(), count) + b"".join(self.reply(depth + 1) for _ in range(elements))

    def serve(self):
        try:
            while True:
                peer, _ = self.listener.accept()
                peer.settimeout(5)
                with peer:
                    asked = 0  # a liar that never ends is cut off
                    while (data := peer.recv(65536)) and asked < 300:
                        asked += data.count(b"*")
                        peer.sendall(b"".join(self.reply() for _ in range(data.count(b"*"))))
        except OSError:
            pass

    def close(self):
        self.listener.close()


LIED_TO = [["add", "s", "a", "b"], ["add", "s", "--minid", "1h-ago", "a", "b"], ["read", "s", "t"],
           ["read", "s", "--last", "3", "--json"], ["read", "s", "-g", "g", "-c", "c", "--create", "--pending"],
           ["streams"], ["streams", "--json"], ["groups", "s"], ["groups", "s", "-c", "--json"], ["lag"], ["lag", "s", "--json"],
           ["pending", "s", "g"], ["pending", "s", "g", "-l"], ["pending", "s", "g", "-c", "x", "--json"],
           ["claim", "s", "g", "c", "--idle", "0s", "--count", "9"], ["claim", "s", "g", "c", "--idle", "0s", "1-0"],
           ["claim", "s", "g", "c", "--idle", "0s", "-n"], ["trim", "s", "--maxlen", "1"], ["pub", "c", "m", "--durable"],
           ["subscribers", "a", "b"], ["subscribers", "a", "--json"]]


@pytest.mark.parametrize("words", LIED_TO, ids=" ".join)
def test_no_answer_breaks_it(words, torture):
    """What comes from a socket is never trusted: a status as documented, no sanitizer's word, no bare escapes."""
    for seed in range(400 if torture else 4):
        liar = Liar("%s/%d" % (words, seed))
        done = subprocess.run([leat_binary()] + words, stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                              env=dict(os.environ, LEAT_URL=liar.url))
        liar.close()
        assert done.returncode in (0, 1, 3), (seed, done.stderr.decode(errors="replace"))
        assert b"\x1b" not in done.stdout + done.stderr, seed


class Terminal:
    """A command in a terminal of 80 by 12, or as wide as given."""

    def __init__(self, url, *words, columns=80):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(LEAT_URL=url, TZ="UTC")
            subprocess.run(["stty", "rows", "12", "cols", str(columns)])
            os.execv(leat_binary(), [leat_binary()] + list(words))
        self.text = ""

    def wait_for(self, pattern, seconds=20):
        until = time.monotonic() + seconds
        while not re.search(pattern, self.text):
            assert time.monotonic() < until, self.text
            self._read(0.1)

    def _read(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        self.text += data.decode(errors="replace")
        return data != b""

    def stop(self):
        os.kill(self.pid, signal.SIGINT)
        while self._read(20):
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_the_live_table(redis_server):
    cli = Cli(redis_server, "redis")
    for n in range(20):
        cli.call("XADD", "stream-with-a-long-name-%02d" % n, "1-0", "a", "b")
        cli.call("XGROUP", "CREATE", "stream-with-a-long-name-%02d" % n, "a-group-with-a-long-name", "0")
    screen = Terminal(cli.url, "lag", "--watch", "0.2")
    screen.wait_for(r"(?s)\x1b\[H.*\x1b\[H.*\x1b\[J")
    cli.call("XADD", "stream-with-a-long-name-00", "2-0", "a", "b")
    screen.wait_for("stream-w\u2026name-00  a-group-\u2026ng-name       2")
    assert screen.stop() == 0
    begin, end = screen.text.index("\x1b[?1049h"), screen.text.index("\x1b[?1049l")
    pages = screen.text[begin:end].split("\x1b[H")[1:]
    assert "\x1b[?25l" in screen.text[:end] and "\x1b[?25h" in screen.text[begin:]
    for page in pages:
        lines = re.sub(r"\x1b\[\??[0-9;]*[A-Za-z]", "", page).replace("\r", "").rstrip("\n").split("\n")
        assert len(lines) <= 11, page  # the cursor stands below the last
        assert all(len(line) < 80 for line in lines), page  # in the last column a line would lose its end
        assert "more" in lines[-1]
    # What was last seen stays on the ordinary screen.
    assert "stream-w\u2026name-00" in screen.text[end:]
    cli.close()


def test_the_live_table_in_a_narrow_terminal(redis_server):
    """Nothing wraps, whatever the names are written in: each line of a page is one of the terminal."""
    cli = Cli(redis_server, "redis")
    cli.call("XADD", "\u6ce8\u6587" * 9, "1-0", "a", "b")
    screen = Terminal(cli.url, "lag", "--watch", "0.2", columns=20)
    screen.wait_for(r"(?s)\x1b\[H.*\x1b\[H.*\x1b\[J")
    assert screen.stop() == 0
    page = screen.text[:screen.text.index("\x1b[?1049l")].split("\x1b[H")[-1]
    lines = re.sub(r"\x1b\[\??[0-9;]*[A-Za-z]", "", page).replace("\r", "").rstrip("\n").split("\n")
    assert len(lines) == 4 and lines[2].startswith("STREAM") and lines[3] == "\u6ce8\u6587" * 2 + "\u2026\u6587\u6ce8\u6587   \u2026"
    assert all(sum(2 if c > "\u2e80" else 1 for c in line) < 20 for line in lines), lines
    cli.close()


def test_read_in_a_terminal(redis_server):
    cli = Cli(redis_server, "redis")
    cli.call("XADD", "s", "1795281361250-0", "a", b"\x1b[31mred")
    screen = Terminal(cli.url, "read", "s", "-f")
    screen.wait_for("\n")
    assert screen.stop() == 0
    assert '1795281361250-0 ' in screen.text and 'a="\\x1b[31mred"' in screen.text
    assert "\x1b" not in screen.text
    cli.close()


def test_sub_in_a_terminal(redis_server):
    cli = Cli(redis_server, "redis")
    screen = Terminal(cli.url, "sub", "news")
    screen.wait_for("subscribed to news; Ctrl-C ends")
    cli.call("PUBLISH", "news", b"two words\x1b[2J")
    screen.wait_for("two words")
    assert screen.stop() == 0 and "two words\\x1b[2J" in screen.text
    cli.close()


def test_a_server_that_falls_silent(redis_server):
    cli = Cli(redis_server, "redis")
    cli.call("XADD", "s", "1-0", "n", "0")
    running = cli.start("read", "s", "-f")
    running.wait_lines(1)
    redis_server.process.send_signal(signal.SIGSTOP)
    running.wait_for("no answer came in time", where=running.err)
    redis_server.process.send_signal(signal.SIGCONT)
    running.wait_for("connected again", where=running.err)
    cli.call("XADD", "s", "2-0", "n", "1")
    assert running.wait_lines(2) == ["1-0 n=0", "2-0 n=1"]
    assert running.stop() == 0
    cli.close()


def test_output_that_cannot_be_written(redis_server):
    with open("/dev/full", "w") as full:
        done = subprocess.run([leat_binary(), "add", "s", "a", "b"], stdout=full, stderr=subprocess.PIPE, text=True,
                              env=dict(os.environ, LEAT_URL="redis://127.0.0.1:%d" % redis_server.port), timeout=30)
    assert done.returncode == 1 and "No space left" in done.stderr
