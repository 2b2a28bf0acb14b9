"""The program from outside: options and where they come from, starting and stopping, who gets in."""

import os
import signal
import socket
import subprocess
import time

import pytest

from support.resp import Connection, encode, texts
from support.servers import free_port, leat_binary


def run(*args, env=None, seconds=20):
    return subprocess.run([leat_binary()] + list(args), env=dict(os.environ, **(env or {})), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=seconds)


def test_ready_line_and_clean_stop(make_leat):
    server = make_leat().start(http=True)
    assert str(server.port) in server.ready and str(server.http_port) in server.ready
    Connection(server.port).call("SET", "k", "v")
    assert server.stop() == 0
    server.start()
    assert texts(Connection(server.port).call("GET", "k")) == b"v"
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(20) == 0


def test_shutdown_command(make_leat):
    server = make_leat().start("--sync", "no")
    conn = Connection(server.port)
    conn.call("SET", "k", "v")
    conn.send(encode(["SHUTDOWN"]))
    assert server.process.wait(20) == 0
    server.start()
    assert texts(Connection(server.port).call("GET", "k")) == b"v"


def test_precedence(make_leat, tmp_path):
    """Command line, then environment, then file, then default."""
    config = tmp_path / "leat.conf"
    config.write_text("maxclients 100\nmaxmemory 50mb\n# a comment\nloglevel warning\n")
    server = make_leat().start("--config", config, "--maxmemory", "70mb", env={"LEAT_MAXCLIENTS": "200"})
    conn = Connection(server.port)
    got = texts(conn.call("CONFIG", "GET", "max*"))
    settings = dict(zip(got[::2], got[1::2]))
    assert settings[b"maxmemory"] == b"%d" % (70 << 20)
    assert settings[b"maxclients"] == b"200"
    assert texts(conn.call("CONFIG", "GET", "loglevel")) == [b"loglevel", b"warning"]


@pytest.mark.parametrize("args, env, says", [
    (["serve", "--nosuch"], {}, "nosuch"),
    (["serve", "--port", "abc"], {}, "port"),
    (["serve", "--port", "70000"], {}, "port"),
    (["serve", "--sync", "sometimes"], {}, "sync"),
    (["serve"], {"LEAT_SYNC": "sometimes"}, "sync"),
    (["serve", "--config", "/nonexistent/file"], {}, "/nonexistent/file"),
    (["run"], {}, "FILE"),
    (["run", "/nonexistent.yaml"], {}, "/nonexistent.yaml"),
    (["nosuch"], {}, "nosuch"),
])
def test_wrong_usage_is_said(args, env, says, tmp_path):
    done = run(*args, *(["--dir", str(tmp_path)] if args[0] == "serve" else []), env=env)
    assert done.returncode not in (0, 99) and says.lower() in done.stderr.lower(), done


def test_a_wrong_setting_in_the_file_names_its_line(tmp_path):
    config = tmp_path / "leat.conf"
    config.write_text("port 7000\n\nmaxclient 5\n")
    done = run("serve", "--config", str(config), "--dir", str(tmp_path / "data"))
    assert done.returncode != 0 and "leat.conf:3" in done.stderr and "maxclient" in done.stderr


def test_a_flow_file_with_errors(tmp_path):
    flow = tmp_path / "flow.yaml"
    flow.write_text("sources:\n  feed:\n    type: sse\n    ulr: http://x/\n    publish: [{topic: t}]\ntopics: {t: {}}\n")
    done = run("run", str(flow), "--dir", str(tmp_path / "data"), "--port", str(free_port()), "--http", "0")
    assert done.returncode not in (0, 99)
    assert "flow.yaml:4:" in done.stderr and "ulr" in done.stderr and "url" in done.stderr


def test_a_stranger_is_not_let_in(tmp_path):
    """Another address than loopback needs a password."""
    done = run("serve", "--bind", "0.0.0.0", "--port", str(free_port()), "--http", "0", "--dir", str(tmp_path))
    assert done.returncode not in (0, 99) and "password" in done.stderr


def test_with_a_password_another_bind_is_fine(make_leat):
    server = make_leat()
    server.start("--bind", "0.0.0.0", "--requirepass", "geheim")
    conn = Connection(server.port)
    assert conn.call("GET", "k")[1].startswith(b"NOAUTH")
    assert conn.call("AUTH", "geheim") == (b"+", b"OK")


def test_two_on_one_folder(make_leat):
    """A second server on the same folder would ruin the journal: it is refused."""
    server = make_leat().start()
    done = run("serve", "--dir", server.data, "--port", str(free_port()), "--http", "0")
    assert done.returncode not in (0, 99) and done.stderr
    assert Connection(server.port).call("PING") == (b"+", b"PONG")


def test_a_taken_port(make_leat, tmp_path):
    server = make_leat().start()
    done = run("serve", "--dir", str(tmp_path), "--port", str(server.port), "--http", "0")
    assert done.returncode not in (0, 99) and str(server.port) in done.stderr


def test_help():
    for args in (["--help"], ["help"], ["serve", "--help"], ["help", "hset"], ["help", "commands"], ["help", "settings"],
                 ["--version"], ["replay", "--help"], ["run", "--help"], ["simulate", "--help"]):
        done = run(*args)
        assert done.returncode == 0 and len(done.stdout) > 10, args


def test_serve_with_flows(make_leat):
    """`leat serve --flows FILE` is `leat run FILE` the other way round."""
    from views import WIKI, total
    server = make_leat()
    closed = "http://127.0.0.1:%d/" % free_port()
    server.start("--flows", WIKI, "--simulate-after", "300ms", env={"LEAT_SOURCE_URL": closed})
    conn = Connection(server.port)
    until = time.monotonic() + 20
    while total(conn) < 20 and time.monotonic() < until:
        time.sleep(0.1)
    assert total(conn) >= 20


def test_many_connections(make_leat):
    server = make_leat().start("--sync", "no")
    conns = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(1500)]
    try:
        for n, conn in enumerate(conns):
            conn.sendall(b"SET k%d v\r\n" % n)
        for conn in conns:
            conn.settimeout(20)
            assert conn.recv(100) == b"+OK\r\n"
        assert texts(Connection(server.port).call("DBSIZE")) == 1500
    finally:
        for conn in conns:
            conn.close()


def test_too_many_connections_are_told_so(make_leat):
    server = make_leat().start("--maxclients", "12")
    conns = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    answers = []
    for conn in conns:
        conn.settimeout(5)
        try:
            conn.sendall(b"PING\r\n")
            answers.append(conn.recv(100))
        except OSError:
            answers.append(b"")
    for conn in conns:
        conn.close()
    assert sum(a == b"+PONG\r\n" for a in answers) <= 12
    assert any(a.startswith(b"-ERR max number of clients reached") for a in answers)


def test_memory_limit_refuses_writes(make_leat):
    server = make_leat().start("--sync", "no", "--maxmemory", "20mb")
    conn = Connection(server.port)
    refused = None
    for n in range(2000):
        reply = conn.call("SET", "k%d" % n, "x" * 50000)
        if reply[0] == b"-":
            refused = reply
            break
    assert refused and refused[1].startswith(b"OOM command not allowed when used memory > 'maxmemory'")
    assert texts(conn.call("GET", "k0")) == b"x" * 50000  # reading goes on, nothing was thrown out
    assert texts(conn.call("DBSIZE")) == n
    for i in range(n):
        assert texts(conn.call("DEL", "k%d" % i)) == 1
    until = time.monotonic() + 5
    while conn.call("SET", "k", "v")[0] == b"-" and time.monotonic() < until:
        time.sleep(0.1)
    assert conn.call("SET", "k", "v") == (b"+", b"OK")


def test_a_slow_subscriber_does_not_eat_the_memory(make_leat):
    """Redis's limits for output: the one who does not read is disconnected, the others are served."""
    server = make_leat().start("--sync", "no")
    slow, good, publisher = Connection(server.port), Connection(server.port), Connection(server.port, timeout=60)
    publisher.call("CONFIG", "SET", "client-output-buffer-limit", "pubsub 2mb 1mb 1")
    slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for conn in (slow, good):
        conn.call("SUBSCRIBE", "c")
    for n in range(400):
        publisher.call("PUBLISH", "c", "%04d" % n + "x" * 50000)
        assert texts(good.read()[1])[2][:4] == b"%04d" % n
    until = time.monotonic() + 10
    while texts(publisher.call("PUBSUB", "NUMSUB", "c"))[1] != 1 and time.monotonic() < until:
        time.sleep(0.1)
    assert texts(publisher.call("PUBSUB", "NUMSUB", "c")) == [b"c", 1]
