"""System 2: two scoreboards from an endless response of JSON lines, through examples/tweets.yaml."""

import json
import os
import urllib.request

import pytest

from support.feeds import replay, wait_for
from support.recordings import count_tweets, write_tweets
from support.resp import Connection
from views import TWEETS, scores


def check(server, users, tags):
    conn = Connection(server.port)
    wait_for(lambda: scores(conn, "username_scoreboard") == dict(users)
             and scores(conn, "hashtags_scoreboard") == dict(tags), 60)
    assert scores(conn, "username_scoreboard") == dict(users)
    assert scores(conn, "hashtags_scoreboard") == dict(tags)


def top_ten(server, path):
    with urllib.request.urlopen("http://127.0.0.1:%d%s" % (server.http_port, path), timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("application/json")
        return json.load(answer)


def check_http(server, path, counts):
    top = top_ten(server, path)
    assert len(top) == min(10, len(counts))
    assert [t["score"] for t in top] == sorted(counts.values(), reverse=True)[:10]
    assert all(counts[t["member"]] == t["score"] for t in top)


def test_scoreboards(make_leat, tmp_path):
    users, tags = write_tweets(tmp_path / "tweets.ndjson", 800)
    with replay(tmp_path / "tweets.ndjson", "--as", "ndjson", "--max") as feed:
        server = make_leat().start(flow=TWEETS, http=True, env={"LEAT_SOURCE_URL": feed.url})
        check(server, users, tags)
        check_http(server, "/usernames", users)
        check_http(server, "/hashtags", tags)


def test_real_tweets(make_leat, shared_data):
    path = os.path.join(shared_data, "tweets-2015-08-16.ndjson")
    users, tags = count_tweets(path)
    with replay(path, "--as", "ndjson", "--max") as feed:
        server = make_leat().start(flow=TWEETS, http=True, env={"LEAT_SOURCE_URL": feed.url})
        check(server, users, tags)
        check_http(server, "/usernames", users)
        check_http(server, "/hashtags", tags)


def test_the_address_must_be_given(make_leat):
    """There is no public feed to fall back on: without an address it says so and ends."""
    with pytest.raises(RuntimeError, match="LEAT_SOURCE_URL"):
        make_leat().start(flow=TWEETS, env={"LEAT_SOURCE_URL": ""})
