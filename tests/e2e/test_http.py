"""The HTTP side: health, metrics, the JSON API, and whom the gateway turns away."""

import http.client
import json
import os
import re
import time

import pytest

from support.feeds import replay, wait_for
from support.recordings import write_wiki
from support.resp import Connection
from support.servers import free_port
from views import WIKI


def get(server, path, headers=None, method="GET"):
    conn = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=10)
    conn.request(method, path, headers=headers or {})
    answer = conn.getresponse()
    body = answer.read()
    conn.close()
    return answer, body


@pytest.fixture
def wiki(make_leat, tmp_path):
    counts = write_wiki(tmp_path / "wiki.sse", 300, malformed=3)
    with replay(tmp_path / "wiki.sse", "--max") as feed:
        server = make_leat().start(flow=WIKI, http=True, env={"LEAT_SOURCE_URL": feed.url})
        server.counts = counts
        wait_for(lambda: sum(json.loads(get(server, "/api/series?view=changes")[1]).get("total", []))
                 >= sum(counts.values()))
        yield server


def test_health(wiki):
    assert get(wiki, "/healthz")[0].status == 200
    assert get(wiki, "/readyz")[0].status == 200


def test_metrics_are_prometheus_text(wiki):
    answer, body = get(wiki, "/metrics")
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain")
    typed, seen = {}, set()
    for line in body.decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in typed, "%s is declared twice" % name
            typed[name] = kind
        elif line and not line.startswith("#"):
            found = re.fullmatch(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\.)*",?)*\})? '
                                 r'([-+]?(?:[0-9.]+(?:e[-+]?[0-9]+)?|Inf|NaN))', line)
            assert found, line
            assert (found.group(1), found.group(2)) not in seen, line
            seen.add((found.group(1), found.group(2)))
            base = re.sub(r"_(bucket|sum|count)$", "", found.group(1))
            assert found.group(1) in typed or base in typed, line
    assert len(seen) > 10


def test_status(wiki):
    status = json.loads(get(wiki, "/api/status")[1])
    source = status["sources"][0]
    assert source["state"] == "connected" and source["events"] >= 300 and source["malformed"] == 3
    assert status["views"][0]["processed"] == sum(wiki.counts.values())


def test_series_and_members(wiki):
    members = json.loads(get(wiki, "/api/members?view=changes")[1])
    assert {m["key"]: m["count"] for m in members} == dict(wiki.counts)
    answer = json.loads(get(wiki, "/api/series?view=changes&key=en.wikipedia.org&key=de.wikipedia.org")[1])
    sums = {s["key"]: sum(s["values"]) for s in answer["series"]}
    assert sums == {k: wiki.counts[k] for k in ("en.wikipedia.org", "de.wikipedia.org")}
    assert answer["to"] - answer["from"] in (1790, 1800) and answer["interval_s"] == 10


def test_what_is_not_there(wiki):
    assert get(wiki, "/nosuch")[0].status == 404
    assert get(wiki, "/api/series?view=nosuch")[0].status in (400, 404)
    assert get(wiki, "/../etc/passwd")[0].status in (400, 404)
    assert get(wiki, "/", method="POST")[0].status in (403, 404, 405)
    answer, body = get(wiki, "/", method="HEAD")
    assert answer.status == 200 and body == b""


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Host": "evil.example:8080"},
                                     {"Origin": "http://evil.example"}, {"Host": ""}])
def test_foreign_hosts_and_origins_are_turned_away(wiki, headers):
    assert get(wiki, "/api/status", headers)[0].status in (400, 403, 421)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_loopback_names_are_let_in(wiki, host):
    port = wiki.http_port
    assert get(wiki, "/api/status", {"Host": "%s:%d" % (host, port)})[0].status == 200
    assert get(wiki, "/api/status", {"Origin": "http://127.0.0.1:%d" % port})[0].status == 200


def test_pages_protect_themselves(wiki):
    answer, body = get(wiki, "/")
    assert answer.status == 200 and b"<title>leat" in body
    assert answer.headers["Content-Security-Policy"] and answer.headers["X-Content-Type-Options"] == "nosniff"
    again, nothing = get(wiki, "/", {"If-None-Match": answer.headers["ETag"]})
    assert again.status == 304 and nothing == b""


def test_event_stream(wiki):
    conn = http.client.HTTPConnection("127.0.0.1", wiki.http_port, timeout=10)
    conn.request("GET", "/api/events?view=changes&key=en.wikipedia.org")
    answer = conn.getresponse()
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    seen, until = set(), time.monotonic() + 15
    while not {"status", "series"} <= seen and time.monotonic() < until:
        line = answer.readline().decode().strip()
        if line.startswith("event: "):
            seen.add(line[7:])
        elif line.startswith("data: "):
            json.loads(line[6:])
    assert {"status", "series"} <= seen
    conn.close()


def test_http_on_the_redis_port_is_cut(wiki):
    conn = Connection(wiki.port)
    conn.send(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET k v\r\n")
    data, closed = conn.read_all(2)
    assert closed and b"+OK" not in data
    assert Connection(wiki.port).call("EXISTS", "k") == (b":", b"0")


def test_the_simulator_says_that_it_is_one(make_leat):
    """Without a feed it goes on with made-up events, and the page says so."""
    closed = "http://127.0.0.1:%d/" % free_port()
    server = make_leat().start("--simulate-after", "500ms", flow=WIKI, http=True, env={"LEAT_SOURCE_URL": closed})
    status = wait_for(lambda: [s for s in json.loads(get(server, "/api/status")[1])["sources"] if s["simulated"]], 20)
    assert status and "simulat" in server.log().lower()
    conn = Connection(server.port)
    conn.call("SUBSCRIBE", "wiki")
    _, message = conn.read(20)
    assert b"simulated" in message[1][2][1].lower() and json.loads(message[1][2][1])["meta"]["domain"]
    assert os.path.exists(WIKI)
