"""The Python scripts of systems 1 and 2, as people write them around Redis, unmodified against leat.
(They run against redis-server as well: what they hold there they must hold here.)"""

import http.server
import json
import threading
import urllib.request

import pytest
import redis

from support.feeds import wait_for
from support.recordings import write_tweets, write_wiki


@pytest.fixture
def feed_of():
    """Serves a file over HTTP once per request; the address."""
    servers = []

    def serve(path):
        with open(path, "rb") as f:
            data = f.read()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return "http://127.0.0.1:%d/" % server.server_port
    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_system_1(either, script, feed_of, tmp_path):
    counts = write_wiki(tmp_path / "wiki.sse", 250, unfinished=False)
    r = redis.Redis(port=either.port, decode_responses=True)
    subscriber = script("wiki_subscriber", wait_for_word="listening")
    assert script("wiki_publisher", feed=feed_of(tmp_path / "wiki.sse")).wait(60) == 0
    assert wait_for(lambda: sum(map(int, r.hvals("ev"))) == sum(counts.values()))
    r.publish("wiki", "stop")
    assert subscriber.wait(10) == 0
    seen = json.loads(script("wiki_dashboard").communicate(timeout=30)[0])
    assert seen["domains"] == sorted(counts)
    assert {d: sum(s.values()) for d, s in seen["series"].items()} == dict(counts)
    assert all(int(t) % 10 == 0 for t in seen["all"])
    one = json.loads(script("wiki_dashboard", "de.wikipedia.org").communicate(timeout=30)[0])
    assert list(one["series"]) == ["de.wikipedia.org"]


def test_system_2(either, script, feed_of, tmp_path):
    users, tags = write_tweets(tmp_path / "tweets.ndjson", 300)
    r = redis.Redis(port=either.port, decode_responses=True)
    subscribers = [script("scoreboard_subscriber", c, wait_for_word="listening") for c in ("usernames", "hashtags")]
    assert script("tweet_publisher", feed=feed_of(tmp_path / "tweets.ndjson")).wait(60) == 0
    assert wait_for(lambda: dict(r.zrange("username_scoreboard", 0, -1, withscores=True)) == users
                    and dict(r.zrange("hashtags_scoreboard", 0, -1, withscores=True)) == tags)
    for channel, subscriber in zip(("usernames", "hashtags"), subscribers):
        r.publish(channel, "stop")
        assert subscriber.wait(10) == 0
    port = int(script("scoreboard_api", wait_for_word="serving").first_line.split()[1])
    for path, counts in (("/usernames", users), ("/hashtags", tags)):
        with urllib.request.urlopen("http://127.0.0.1:%d%s" % (port, path), timeout=10) as answer:
            top = json.load(answer)
        assert [int(s) for _, s in top] == sorted(counts.values(), reverse=True)[:10]
        assert all(counts[name] == score for name, score in top)
