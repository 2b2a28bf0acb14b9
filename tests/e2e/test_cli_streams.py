"""The commands for streams, each against redis-server and leat."""

import datetime
import json
import os
import subprocess
import time

import pytest

from support.resp import texts
from support.servers import leat_binary


def add(cli, stream, *ids):
    for number, id_ in enumerate(ids):
        cli.call("XADD", stream, id_, "n", str(number))


def column(lines, number):
    return [line.split(" ")[number] for line in lines]


# ---- add ----

def test_add_fields(cli):
    [printed] = cli.lines("add", "s", "room", "kitchen", "temp", "-3.5", "two words", "\n")
    [(_, entry)] = cli.call("XRANGE", "s", "-", "+")[1]
    assert texts(entry[0]) == printed.encode()
    assert texts(entry[1]) == [b"room", b"kitchen", b"temp", b"-3.5", b"two words", b"\n"]
    [told] = cli.json("add", "s", "--id", "99999999999999-7", "a", "b")
    assert told == {"stream": "s", "id": "99999999999999-7"}
    assert cli.lines("add", "s", "--quiet", "--id", "99999999999999-8", "--", "-a", "--b") == []
    assert texts(cli.call("XREVRANGE", "s", "+", "-", "COUNT", "1"))[0][1] == [b"-a", b"--b"]


def test_add_json_lines(cli):
    text = '{"s":"a\\u0000b","n":12345678901234567,"f":2.50}\n\n{"l":[1, {"k":null}],"t":true,"z":null}\r\n'
    ids = cli.lines("add", "s", stdin=text)
    entries = texts(cli.call("XRANGE", "s", "-", "+"))
    assert [e[0].decode() for e in entries] == ids
    assert entries[0][1] == [b"s", b"a\0b", b"n", b"12345678901234567", b"f", b"2.5"]
    assert entries[1][1] == [b"l", b'[1,{"k":null}]', b"t", b"true", b"z", b""]


def test_add_plain_lines(cli):
    cli.run("add", "s", "--lines", stdin='{"a":1}\n\nlast')
    cli.run("add", "s", "--lines=text", stdin="x\n")
    assert [e[1] for e in texts(cli.call("XRANGE", "s", "-", "+"))] == [
        [b"data", b'{"a":1}'], [b"data", b""], [b"data", b"last"], [b"text", b"x"]]


def test_add_many_lines_keeps_order(cli):
    ids = cli.lines("add", "s", stdin="".join('{"n":%d}\n' % n for n in range(5000)))
    entries = texts(cli.call("XRANGE", "s", "-", "+"))
    assert [e[0].decode() for e in entries] == ids
    assert [int(e[1][1]) for e in entries] == list(range(5000))


def test_add_tells_as_soon_as_it_knows(cli):
    running = cli.start("add", "s", stdin=subprocess.PIPE)
    for count in 1, 2, 3:
        running.process.stdin.write(b'{"a":1}\n')
        running.process.stdin.flush()
        running.wait_lines(count)
    running.process.stdin.close()
    assert running.process.wait(20) == 0


def test_add_a_wrong_line_is_named(cli):
    done = cli.run("add", "s", stdin='{"a":1}\n{"b":2}\nno\n{"c":3}\n', status=2)
    assert "line 3" in done.stderr and "--lines" in done.stderr
    assert len(done.stdout.splitlines()) == 2
    for wrong in "[1]\n", "{}\n", "7\n":
        assert "line 1" in cli.run("add", "s", stdin=wrong, status=2).stderr
    assert cli.call("XLEN", "s") == (b":", b"2")


def test_add_a_line_without_end(cli):
    with open("/dev/zero", "rb") as zeros:
        done = subprocess.run([leat_binary(), "add", "s", "--lines"], stdin=zeros, capture_output=True, text=True,
                              timeout=60, env={"LEAT_URL": cli.url})
    assert done.returncode == 2 and "a line is longer than 64 MB" in done.stderr
    assert cli.call("EXISTS", "s") == (b":", b"0")


def test_add_trims(cli):
    add(cli, "s", "1-0", "2-0", "3-0")
    cli.run("add", "s", "--maxlen", "2", "--id", "4-0", "a", "b")
    assert column(cli.lines("read", "s"), 0) == ["3-0", "4-0"]
    cli.run("add", "s", "--minid", "4", "--id", "5-0", "a", "b")
    assert column(cli.lines("read", "s"), 0) == ["4-0", "5-0"]
    cli.run("add", "s", "--minid", "1h-ago", "a", "b")
    assert cli.call("XLEN", "s") == (b":", b"1")


def test_add_refused(cli):
    assert "no stream s" in cli.run("add", "s", "--nomkstream", "a", "b", status=1).stderr
    assert cli.call("EXISTS", "s") == (b":", b"0")
    add(cli, "s", "5-0")
    done = cli.run("add", "s", "--id", "4-0", "a", "b", status=1)
    assert "equal or smaller" in done.stderr and "leave --id out" in done.stderr
    cli.call("SET", "t", "x")
    assert "WRONGTYPE" in cli.run("add", "t", "a", "b", status=1).stderr


@pytest.mark.parametrize("words", [
    ["add"], ["add", "s", "a"], ["add", "s", "--maxlen", "x", "a", "b"], ["add", "s", "--nope"],
    ["add", "s", "--maxlen", "1", "--minid", "2", "a", "b"], ["add", "s", "--minid", "START", "a", "b"],
    ["read"], ["read", "s", "--from", "whenever"], ["read", "s", "--group", "g"],
    ["read", "s", "--consumer", "c"], ["read", "s", "--no-ack"], ["read", "s", "--block", "5"],
    ["read", "s", "t", "s"], ["read", "s", "--from", "START", "--last", "1"], ["read", "s", "-g", "g", "-c", "c", "--from", "START"],
])
def test_wrong_usage(cli, words):
    done = cli.run(*words, status=2)
    assert done.stderr and not done.stdout
    assert cli.call("DBSIZE") == (b":", b"0")


def test_nobody_there(cli):
    done = cli.run("add", "s", "a", "b", url="redis://user:secret@127.0.0.1:1", status=3)
    assert "leat serve" in done.stderr and "--url" in done.stderr and "secret" not in done.stderr
    done = cli.run("add", "s", "a", "b", url="http://127.0.0.1:1", status=3)
    assert "redis://HOST:PORT" in done.stderr


# ---- read ----

def test_read_from(cli):
    add(cli, "s", "1-0", "2-0", "2-1", "3-0")

    def ids(*words):
        return column(cli.lines("read", "s", *words), 0)
    assert ids() == ids("--from", "START") == ["1-0", "2-0", "2-1", "3-0"]
    assert ids("--from", "2") == ids("--from", "2-0") == ["2-0", "2-1", "3-0"]
    assert ids("--from", "(2-0") == ["2-1", "3-0"]
    assert ids("--last", "3", "--count", "2") == ["2-0", "2-1"]
    assert ids("--last", "9") == ["1-0", "2-0", "2-1", "3-0"]
    assert "-f waits" in cli.run("read", "s", "--from", "END", status=1).stderr
    cli.run("read", "none", status=1)


def test_read_from_times(cli):
    now = int(time.time() * 1000)
    add(cli, "s", "%d-0" % (now - 7200_000), "%d-0" % (now - 60_000), "%d-0" % now)
    assert len(cli.lines("read", "s", "--from", "1h-ago")) == 2
    assert len(cli.lines("read", "s", "--from", "10s-ago")) == 1
    iso = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now // 1000 - 3600))
    assert len(cli.lines("read", "s", "--from", iso)) == 2


def test_read_prints(cli):
    cli.call("XADD", "s", "1795281361250-3", "temp", "21 C", b"\xff\x1b[2J", b"", "a", "1")
    cli.call("XADD", "other", "7-1", "x", "y")
    assert cli.lines("read", "s") == ['1795281361250-3 temp="21 C" "\\xff\\x1b[2J"="" a=1']
    assert cli.lines("read", "s", "other") == [
        's 1795281361250-3 temp="21 C" "\\xff\\x1b[2J"="" a=1', "other 7-1 x=y"]
    assert cli.json("read", "s", "other") == [
        {"stream": "s", "id": "1795281361250-3", "time": "2026-11-21T17:16:01.250Z",
         "fields": {"temp": "21 C", "\ufffd\x1b[2J": "", "a": "1"}},
        {"stream": "other", "id": "7-1", "fields": {"x": "y"}}]


def test_read_more_than_a_batch(cli):
    cli.run("add", "s", "-q", stdin="".join('{"n":%d}\n' % n for n in range(1300)))
    assert [int(e["fields"]["n"]) for e in cli.json("read", "s")] == list(range(1300))
    assert [int(e["fields"]["n"]) for e in cli.json("read", "s", "--count", "700")] == list(range(700))


def test_follow(cli):
    add(cli, "a", "1-0", "2-0")
    running = cli.start("read", "a", "b", "-f", "--last", "1")
    running.wait_lines(1)
    add(cli, "b", "1-1")
    running.wait_lines(2)
    add(cli, "a", "3-0", "4-0")
    assert running.wait_lines(4) == ["a 2-0 n=1", "b 1-1 n=0", "a 3-0 n=0", "a 4-0 n=1"]
    assert running.stop() == 0 and running.err() == ""


@pytest.mark.parametrize("begin", [["--from", "END"], ["--last", "0"]])
def test_follow_from_the_end(cli, begin):
    add(cli, "s", "1-0")
    running = cli.start("read", "s", "-f", "--count", "1", *begin)
    time.sleep(0.3)
    add(cli, "s", "2-0")
    assert running.wait_lines(1) == ["2-0 n=0"]
    assert running.process.wait(20) == 0


def test_follow_from_the_end_of_what_is_not_there_yet(cli):
    running = cli.start("read", "s", "-f", "--from", "END", "--count", "2")
    time.sleep(0.3)
    add(cli, "s", "1-0", "2-0", "3-0")
    assert running.wait_lines(2) == ["1-0 n=0", "2-0 n=1"]
    assert running.process.wait(20) == 0


def test_block_ends(cli):
    add(cli, "s", "1-0")
    running = cli.start("read", "s", "--block", "2s")
    running.wait_lines(1)
    time.sleep(0.6)
    add(cli, "s", "2-0")
    running.wait_lines(2)
    begun = time.monotonic()
    assert running.process.wait(20) == 0
    assert time.monotonic() - begun > 0.8
    cli.run("read", "s", "--from", "END", "--block", "100ms", status=1)


def test_group_shares_and_acknowledges(cli):
    add(cli, "s", *["%d-0" % n for n in range(1, 7)])
    done = cli.run("read", "s", "-g", "g", "-c", "one", status=1)
    assert "NOGROUP" in done.stderr and "--create" in done.stderr
    assert column(cli.lines("read", "s", "-g", "g", "-c", "one", "--create", "--count", "2"), 0) == ["1-0", "2-0"]
    assert column(cli.lines("read", "s", "-g", "g", "-c", "two", "--no-ack", "--count", "2"), 0) == ["3-0", "4-0"]
    assert column(cli.lines("read", "s", "-g", "g", "-c", "one"), 0) == ["5-0", "6-0"]
    cli.run("read", "s", "-g", "g", "-c", "one", status=1)
    assert texts(cli.call("XPENDING", "s", "g"))[3] == [[b"two", b"2"]]
    # Given earlier and never acknowledged: again, then no more.
    add(cli, "s", "9-0")
    assert column(cli.lines("read", "s", "-g", "g", "-c", "two", "--pending"), 0) == ["3-0", "4-0", "9-0"]
    assert texts(cli.call("XPENDING", "s", "g"))[0] == 0


def test_a_refused_acknowledgement_is_said(cli):
    if cli.kind == "leat":
        pytest.skip("leat has one user, who may do everything")
    add(cli, "s", "1-0", "2-0")
    cli.call("XGROUP", "CREATE", "s", "g", "0")
    cli.call("ACL", "SETUSER", "reads", "on", ">open", "~*", "+@all", "-xack")
    done = cli.run("read", "s", "-g", "g", "-c", "c", "-f", url=cli.url.replace("//", "//reads:open@"), status=1)
    assert done.stdout == "1-0 n=0\n2-0 n=1\n" and "NOPERM" in done.stderr
    cli.call("ACL", "DELUSER", "reads")


def test_group_created_at(cli):
    add(cli, "s", "1-0", "2-0", "3-0")
    assert column(cli.lines("read", "s", "-g", "g", "-c", "c", "--create", "--from", "2-0"), 0) == ["2-0", "3-0"]
    # It is there: --from does not move it.
    cli.run("read", "s", "-g", "g", "-c", "c", "--create", "--from", "START", status=1)


def test_a_deleted_entry_that_was_pending(cli):
    add(cli, "s", "1-0", "2-0")
    cli.run("read", "s", "-g", "g", "-c", "c", "--create", "--no-ack")
    cli.call("XDEL", "s", "1-0")
    assert cli.lines("read", "s", "-g", "g", "-c", "c", "--pending", "--no-ack") == ["1-0 (deleted)", "2-0 n=1"]
    assert cli.json("read", "s", "-g", "g", "-c", "c", "--pending")[0]["fields"] is None


def test_a_closed_pipe_ends_it(cli):
    cli.run("add", "s", "-q", stdin="".join('{"n":%d}\n' % n for n in range(5000)))
    script = '"$0" read s -f | head -1; echo "${PIPESTATUS[0]}"'
    done = subprocess.run(["bash", "-c", script, leat_binary()], capture_output=True, text=True, timeout=20,
                          env={"LEAT_URL": cli.url, "PATH": "/usr/bin:/bin"})
    assert done.stdout.splitlines()[1] == "0" and done.stderr == ""


def test_output_that_does_not_block(cli):
    """A pipe that is full for now is waited for, not taken for broken."""
    cli.run("add", "s", "-q", stdin="".join('{"n":%d}\n' % n for n in range(20000)))
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    process = subprocess.Popen([leat_binary(), "read", "s"], stdout=theirs, stderr=subprocess.PIPE,
                               env={"LEAT_URL": cli.url})
    os.close(theirs)
    time.sleep(0.3)  # it fills the pipe meanwhile
    with os.fdopen(ours, "rb") as pipe:
        assert pipe.read().count(b"\n") == 20000
    assert process.wait(20) == 0 and process.stderr.read() == b""
    process.stderr.close()


def test_nothing_is_acknowledged_that_nobody_read(cli):
    cli.run("add", "s", "-q", stdin="".join('{"n":%d}\n' % n for n in range(20000)))
    script = '"$0" read s -g g -c c --create -f | head -1; echo "${PIPESTATUS[0]}"'
    done = subprocess.run(["bash", "-c", script, leat_binary()], capture_output=True, text=True, timeout=20,
                          env={"LEAT_URL": cli.url, "PATH": "/usr/bin:/bin"})
    assert done.stdout.splitlines()[1] == "0" and done.stderr == ""
    assert int(texts(cli.call("XPENDING", "s", "g"))[0]) > 0
    info = texts(cli.call("XINFO", "GROUPS", "s"))[0]
    assert 0 < int(info[info.index(b"entries-read") + 1]) < 20000


def cut(cli):
    cli.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def test_follow_survives_a_broken_connection(cli):
    add(cli, "s", "1-0")
    running = cli.start("read", "s", "-f")
    running.wait_lines(1)
    cut(cli)
    add(cli, "s", "2-0")
    assert running.wait_lines(2) == ["1-0 n=0", "2-0 n=0"]
    running.wait_for("connected again", where=running.err)
    assert running.stop() == 0


def test_group_survives_a_broken_connection(cli):
    add(cli, "s", "1-0")
    running = cli.start("read", "s", "-g", "g", "-c", "c", "--create", "-f")
    running.wait_lines(1)
    cut(cli)
    add(cli, "s", "2-0")
    assert running.wait_lines(2) == ["1-0 n=0", "2-0 n=0"]
    assert running.stop() == 0
    assert texts(cli.call("XPENDING", "s", "g"))[0] == 0


def test_group_reads_again_what_a_broken_connection_swallowed(cli):
    add(cli, "s", "1-0")
    running = cli.start("read", "s", "-g", "g", "-c", "c", "--create", "-f")
    running.wait_lines(1)
    # Given to `c`, who never saw it, as when the reply is lost on its way.
    for words in ["MULTI"], ["XADD", "s", "2-0", "n", "lost"], \
            ["XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">"], ["EXEC"]:
        cli.call(*words)
    cut(cli)
    assert running.wait_lines(2) == ["1-0 n=0", "2-0 n=lost"]
    add(cli, "s", "3-0")
    running.wait_lines(3)
    assert running.stop() == 0
    assert texts(cli.call("XPENDING", "s", "g"))[0] == 0


# ---- streams, groups, lag ----

def rows(lines):
    """A piped table of words without spaces, as a list of dicts."""
    names = lines[0].split(" ")
    for line in lines[1:]:
        assert len(line.split(" ")) == len(names), line
    return [dict(zip(names, line.split(" "))) for line in lines[1:]]


def test_streams(cli):
    add(cli, "orders:b", "1795281361250-0", "1795281361251-0")
    add(cli, "orders:a", "5-1")
    cli.call("SET", "orders:c", "no stream")
    cli.call("XGROUP", "CREATE", "orders:a", "g", "0")
    cli.call("XGROUP", "CREATE", "zero", "g", "0", "MKSTREAM")
    table = rows(cli.lines("streams"))
    assert [r["STREAM"] for r in table] == ["orders:a", "orders:b", "zero"]
    assert [r["LENGTH"] for r in table] == ["1", "2", "0"]
    assert [r["GROUPS"] for r in table] == ["1", "0", "1"]
    assert [r["FIRST"] for r in table] == ["5-1", "1795281361250-0", "-"]
    assert table[1]["FIRST-TIME"] == "2026-11-21T17:16:01.250Z"
    assert table[1]["LAST"] == "1795281361251-0" and table[2]["LAST"] == "-"
    assert all(r["MEMORY"] == "-" or int(r["MEMORY"]) > 0 for r in table)
    told = cli.json("streams", "orders:*")
    assert [t["stream"] for t in told] == ["orders:a", "orders:b"]
    assert told[1]["last_time"] == "2026-11-21T17:16:01.251Z" and told[1]["length"] == 2
    assert "nope*" in cli.run("streams", "nope*", status=1).stderr


def test_what_is_kept(cli):
    add(cli, "s", "1-0")
    if cli.kind == "redis":
        assert "RETENTION" not in cli.lines("streams")[0] and "retention_until_acked" not in cli.json("streams")[0]
        return
    add(cli, "t", "1-0")
    cli.call("XRETAIN", "s", "AGE", "36500d", "BYTES", "1gb", "UNTIL-ACKED")
    assert [r["RETENTION"] for r in rows(cli.lines("streams"))] == ["%dms,1073741824,acked" % (36500 * 86400000), "-"]
    cli.call("XRETAIN", "t", "UNTIL-ACKED")
    assert [r["RETENTION"] for r in rows(cli.lines("streams"))] == ["%dms,1073741824,acked" % (36500 * 86400000), "acked"]
    told = cli.json("streams")
    assert [(t["retention_age_ms"], t["retention_bytes"], t["retention_until_acked"]) for t in told] == [
        (36500 * 86400000, 1 << 30, True), (0, 0, True)]


def test_streams_of_an_empty_server(cli):
    done = cli.run("streams")
    assert done.stdout == "" and "leat add" in done.stderr


def test_many_streams(cli):
    for n in range(300):
        add(cli, "s%03d" % n, "1-%d" % (n + 1))
    told = cli.json("streams")
    assert [(t["stream"], t["last_id"]) for t in told] == [("s%03d" % n, "1-%d" % (n + 1)) for n in range(300)]


def test_names_stay_one_word(cli):
    cli.call("XADD", b"two words\x1b[2J\xff", "1-0", "a", "b")
    assert '"two words\\x1b[2J\\xff" 1 1-0' in cli.run("streams").stdout
    assert cli.json("streams")[0]["stream"] == "two words\x1b[2J\ufffd"


def test_groups(cli):
    add(cli, "s", "1-0", "2-0", "3-0")
    cli.call("XGROUP", "CREATE", "s", "idle", "0")
    cli.run("read", "s", "-g", "busy", "-c", "one", "--create", "--count", "2", "--no-ack")
    table = rows(cli.lines("groups", "s"))
    assert [(r["GROUP"], r["CONSUMERS"], r["PENDING"], r["LAST"], r["READ"], r["LAG"]) for r in table] == [
        ("busy", "1", "2", "2-0", "2", "1"), ("idle", "0", "0", "-", table[1]["READ"], "3")]
    [told] = cli.json("groups", "s", "--consumers")
    assert (told["group"], told["consumer"], told["pending"]) == ("busy", "one", 2)
    assert 0 <= told["idle_ms"] < 60000
    assert cli.json("groups", "s")[0]["lag"] == 1
    assert "leat streams" in cli.run("groups", "none", status=1).stderr
    cli.call("XGROUP", "DESTROY", "s", "idle"), cli.call("XGROUP", "DESTROY", "s", "busy")
    done = cli.run("groups", "s")
    assert done.stdout == "" and "--create" in done.stderr


def test_lag(cli):
    now = int(time.time() * 1000)
    add(cli, "s", "%d-0" % (now - 3600_000), "%d-1" % now, "%d-2" % now)
    add(cli, "t", "1-0")
    cli.run("read", "s", "-g", "g", "-c", "one", "--create", "--count", "2", "--no-ack")
    table = rows(cli.lines("lag"))
    assert [(r["STREAM"], r["GROUP"], r["LENGTH"], r["CONSUMERS"], r["PENDING"], r["LAG"]) for r in table] == [
        ("s", "g", "3", "1", "2", "1"), ("t", "-", "1", "-", "-", "-")]
    assert 3600_000 <= int(table[0]["OLDEST-PENDING"].rstrip("ms")) < 3660_000
    [told] = cli.json("lag", "s")
    assert told["oldest_pending_id"] == "%d-0" % (now - 3600_000)
    assert 3600_000 <= told["oldest_pending_age_ms"] < 3660_000
    assert 0 <= told["oldest_pending_idle_ms"] < 60_000
    done = cli.run("lag", "none", status=1)
    assert done.stderr.startswith("leat lag: none: ERR no such key; ") and "leat streams" in done.stderr


@pytest.mark.parametrize("refused, table", [("xinfo", False), ("xpending", True)])
def test_what_the_user_may_not_ask_is_said(cli, refused, table):
    """A stream that is left out because the server refuses to tell of it is no stream that is not there."""
    if cli.kind == "leat":
        pytest.skip("leat has one user, who may ask everything")
    add(cli, "s", "1-0")
    cli.run("read", "s", "-g", "g", "-c", "c", "--create", "--no-ack")
    cli.call("ACL", "SETUSER", "looks", "on", ">open", "~*", "+@all", "-" + refused)
    url = cli.url.replace("//", "//looks:open@")
    for words in [["lag"], ["lag", "s"]] + ([] if table else [["streams"]]):
        done = cli.run(*words, url=url, status=1)
        assert "s: NOPERM" in done.stderr and "ACL SETUSER" in done.stderr, (words, done.stderr)
        assert (done.stdout != "") == table, (words, done.stdout)
    cli.call("ACL", "DELUSER", "looks")


def test_lag_of_ids_that_are_no_times(cli):
    add(cli, "s", "1-0")
    cli.run("read", "s", "-g", "g", "-c", "one", "--create", "--no-ack")
    [told] = cli.json("lag")
    assert told["oldest_pending_age_ms"] == told["oldest_pending_idle_ms"] < 60_000


def test_lag_watch(cli):
    add(cli, "s", "1-0")
    cli.call("XGROUP", "CREATE", "s", "g", "0")
    running = cli.start("lag", "s", "--watch", "0.2", "--json")
    running.wait_lines(2)
    cli.run("add", "s", "-q", stdin='{"a":1}\n' * 500)
    running.wait_for('"lag":501')
    cli.run("read", "s", "-g", "g", "-c", "c", "--count", "100")  # before, Redis does not know what was read
    running.wait_for('"lag":401')
    cli.run("read", "s", "-g", "g", "-c", "c")
    running.wait_for('"lag":0')
    assert running.stop() == 0 and running.err() == ""
    told = [json.loads(line) for line in running.out().splitlines()]
    assert told[0]["in_per_second"] is None
    assert max(t["in_per_second"] for t in told[1:]) > 10
    assert max(t["read_per_second"] or 0 for t in told[1:]) > 10
    at = [datetime.datetime.fromisoformat(t["at"].rstrip("Z")) for t in told]
    added = sum(t["in_per_second"] * (now - before).total_seconds() for t, now, before in zip(told[1:], at[1:], at))
    assert added == pytest.approx(500, rel=0.1)
    assert told[-1]["length"] == 501


def test_lag_watch_in_plain_and_after_a_broken_connection(cli):
    add(cli, "s", "1-0")
    running = cli.start("lag", "--watch=0.2")
    running.wait_for("IN/S READ/S")
    cut(cli)
    running.wait_for("connected again", where=running.err)
    seen = running.out().count("IN/S")
    running.wait_lines((seen + 2) * 3)
    assert running.stop() == 0
    cli.run("lag", "s", "--watch=soon", status=2)


# ---- pending, claim, trim ----

@pytest.fixture
def held(cli):
    """1-0 to 6-0 in `s`; of group `g`, one holds 1 to 3 and two 4 and 5."""
    add(cli, "s", *["%d-0" % n for n in range(1, 7)])
    cli.call("XGROUP", "CREATE", "s", "g", "0")
    cli.call("XREADGROUP", "GROUP", "g", "one", "COUNT", "3", "STREAMS", "s", ">")
    cli.call("XREADGROUP", "GROUP", "g", "two", "COUNT", "2", "STREAMS", "s", ">")
    return cli


def holders(cli):
    return {e[0].decode(): e[1].decode() for e in texts(cli.call("XPENDING", "s", "g", "-", "+", "100"))}


def age(cli, ms, *ids):
    """As if they had been given so long ago."""
    for id_ in ids:
        cli.call("XCLAIM", "s", "g", holders(cli)[id_], "0", id_, "IDLE", ms, "JUSTID")


def test_pending_summary(held):
    assert rows(held.lines("pending", "s", "g")) == [
        {"CONSUMER": "one", "PENDING": "3"}, {"CONSUMER": "two", "PENDING": "2"}]
    assert held.json("pending", "s", "g") == [
        {"stream": "s", "group": "g", "pending": 5, "first_id": "1-0", "last_id": "5-0",
         "consumers": {"one": 3, "two": 2}}]
    age(held, 600_000, "2-0", "5-0")
    [told] = held.json("pending", "s", "g", "--idle", "5m")
    assert (told["pending"], told["first_id"], told["consumers"]) == (2, "2-0", {"one": 1, "two": 1})
    assert held.json("pending", "s", "g", "--consumer", "two")[0]["consumers"] == {"two": 2}


def test_pending_long(held):
    age(held, 600_000, "2-0", "5-0")
    table = rows(held.lines("pending", "s", "g", "--long"))
    assert [(r["ID"], r["CONSUMER"], r["DELIVERIES"]) for r in table] == [
        ("1-0", "one", "1"), ("2-0", "one", "1"), ("3-0", "one", "1"), ("4-0", "two", "1"), ("5-0", "two", "1")]
    told = held.json("pending", "s", "g", "-l", "--idle", "5m")
    assert [t["id"] for t in told] == ["2-0", "5-0"] and told[0]["idle_ms"] >= 600_000
    assert [t["id"] for t in held.json("pending", "s", "g", "-l", "-c", "one", "--count", "2")] == ["1-0", "2-0"]
    done = held.run("pending", "s", "g", "-l", "--idle", "1h")
    assert done.stdout == "" and "nothing" in done.stderr


def test_pending_more_than_a_batch(cli):
    cli.run("add", "s", "-q", stdin='{"a":1}\n' * 1200)
    cli.run("read", "s", "-g", "g", "-c", "c", "--create", "--no-ack")
    assert len(cli.json("pending", "s", "g", "--long")) == 1200
    assert len(cli.json("pending", "s", "g", "--long", "--count", "501")) == 501
    assert cli.json("pending", "s", "g", "--consumer", "c")[0]["pending"] == 1200
    assert len(cli.lines("claim", "s", "g", "d", "--idle", "0s", "--from-consumer", "c", "--ids-only")) == 1200
    assert len(cli.lines("claim", "s", "g", "e", "--idle", "0s", "--count", "150")) == 150
    assert cli.json("pending", "s", "g")[0]["consumers"] == {"d": 1050, "e": 150}


def test_pending_of_no_group(cli):
    add(cli, "s", "1-0")
    done = cli.run("pending", "s", "g", status=1)
    assert "NOGROUP" in done.stderr and "leat groups" in done.stderr
    cli.run("pending", "s", status=2)


def test_claim_what_is_idle(held):
    age(held, 600_000, "2-0", "5-0")
    assert [t["id"] for t in held.json("claim", "s", "g", "three", "--idle", "5m", "--dry-run")] == ["2-0", "5-0"]
    assert holders(held)["2-0"] == "one"
    assert held.lines("claim", "s", "g", "three", "--idle", "5m") == ["2-0 n=1", "5-0 n=4"]
    assert holders(held) == {"1-0": "one", "2-0": "three", "3-0": "one", "4-0": "two", "5-0": "three"}
    done = held.run("claim", "s", "g", "three", "--idle", "5m", status=1)
    assert "leat pending" in done.stderr


def test_claim_from_one_consumer(held):
    claimed = held.json("claim", "s", "g", "three", "--idle", "0s", "--from-consumer", "one", "--count", "2")
    assert [(t["id"], t["fields"]) for t in claimed] == [("1-0", {"n": "0"}), ("2-0", {"n": "1"})]
    assert holders(held) == {"1-0": "three", "2-0": "three", "3-0": "one", "4-0": "two", "5-0": "two"}
    # Then it reads them as what it was given before.
    assert column(held.lines("read", "s", "-g", "g", "-c", "three", "--pending", "--count", "2"), 0) == ["1-0", "2-0"]


def test_claim_ids(held):
    assert held.lines("claim", "s", "g", "three", "--idle", "0s", "4-0", "1-0", "--ids-only") == ["4-0", "1-0"]
    deliveries = {t["id"]: t["deliveries"] for t in held.json("pending", "s", "g", "--long")}
    assert set(deliveries.values()) == {1}
    held.lines("claim", "s", "g", "two", "--idle", "0s", "4-0")
    assert {t["id"]: t["deliveries"] for t in held.json("pending", "s", "g", "-l")}["4-0"] == 2
    held.run("claim", "s", "g", "three", "--idle", "1h", "4-0", status=1)
    held.run("claim", "s", "g", "three", "--idle", "0s", "6-0", status=1)


def test_claim_tells_what_is_gone(held):
    held.call("XDEL", "s", "2-0")
    done = held.run("claim", "s", "g", "three", "--idle", "0s", "--ids-only")
    assert done.stdout.split() == ["1-0", "3-0", "4-0", "5-0"]
    assert "1 more" in done.stderr and "deleted" in done.stderr
    assert "2-0" not in holders(held)


@pytest.mark.parametrize("words", [
    ["claim", "s", "g", "c"], ["claim", "s", "g", "--idle", "1s"], ["claim", "s", "g", "c", "--idle", "1s", "x"],
    ["claim", "s", "g", "c", "--idle", "1s", "1-0", "--dry-run"], ["trim", "s"], ["trim", "--maxlen", "1"],
    ["trim", "s", "--maxlen", "1", "--minid", "1"], ["trim", "s", "--maxlen", "-1"],
    ["trim", "s", "--older-than", "7"], ["pending", "s", "g", "--idle", "soon"], ["groups"], ["groups", "a", "b"],
    ["streams", "a", "b"],
])
def test_more_wrong_usage(cli, words):
    done = cli.run(*words, status=2)
    assert done.stderr and not done.stdout


def test_trim(cli):
    add(cli, "s", "1-0", "2-0", "3-0", "4-0")
    assert cli.lines("trim", "s", "--maxlen", "3") == ["1 removed, 3 left"]
    assert cli.json("trim", "s", "--minid", "4") == [{"stream": "s", "removed": 2, "length": 1}]
    now = int(time.time() * 1000)
    add(cli, "s", "%d-0" % (now - 7200_000), "%d-0" % now)
    assert cli.lines("trim", "s", "--older-than", "1h") == ["2 removed, 1 left"]
    assert cli.lines("trim", "s", "--minid", "1h-ago") == ["0 removed, 1 left"]
    assert "leat streams" in cli.run("trim", "none", "--maxlen", "1", status=1).stderr
    cli.run("trim", "s", "--minid", "whenever", status=2)


def test_trim_where_it_is_cheap(cli):
    cli.run("add", "s", "-q", stdin='{"a":1}\n' * 1000)
    cli.run("trim", "s", "--maxlen", "10", "--approximate")
    assert 10 <= int(cli.call("XLEN", "s")[1]) < 1000
