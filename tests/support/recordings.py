"""Recordings made up for tests, and the counting of real ones by other means than leat's."""

import collections
import json
import lzma
import random


def change(number, domain, title="Page"):
    """One event of the shape of the Wikimedia feed."""
    return {
        "$schema": "/mediawiki/recentchange/1.0.0",
        "meta": {"uri": "https://%s/wiki/%s" % (domain, title), "id": "%08x-0000-4000-8000-000000000000" % number,
                 "dt": "2023-01-25T00:00:%02dZ" % (number // 10 % 60), "domain": domain,
                 "stream": "mediawiki.recentchange", "topic": "eqiad.mediawiki.recentchange", "partition": 0,
                 "offset": 4000000000 + number},
        "id": number, "type": "edit", "namespace": 0, "title": title, "user": "someone", "bot": False,
    }


def sse_event(event, number):
    stamp = 1674604800000 + number // 3 * 100  # several events share an id, as in the feed
    ids = [{"topic": "eqiad.mediawiki.recentchange", "partition": 0, "timestamp": stamp},
           {"topic": "codfw.mediawiki.recentchange", "partition": 0, "offset": -1}]
    text = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
    return "event: message\nid: %s\ndata: %s\n\n" % (json.dumps(ids, separators=(",", ":")), text)


def write_wiki(path, count, seed=1, malformed=0, unfinished=True):
    """Writes an SSE recording; per domain how many changes a strict reader gets."""
    rng = random.Random(seed)
    domains = ["en.wikipedia.org", "de.wikipedia.org", "commons.wikimedia.org", "zh.wikipedia.org", "ja.wiktionary.org"]
    counts = collections.Counter()
    bad = set(rng.sample(range(count), malformed))
    with open(path, "w", encoding="utf-8") as f:
        f.write(":ok\n\n")
        for n in range(count):
            domain = rng.choices(domains, [9, 5, 4, 2, 1])[0]
            if n in bad:
                f.write(sse_event('{"meta": {"domain": "broken', n))
                continue
            counts[domain] += 1
            f.write(sse_event(change(n, domain, rng.choice(["Page", "Ünïcode", "頁面", "a\u2028b"])), n))
        if unfinished:  # the capture was cut: no blank line, so the event does not count
            f.write(sse_event(change(count, "never.example"), count).rstrip("\n") + "\n")
    return counts


def write_tweets(path, count, seed=1):
    """Writes JSON lines; (per user, per tag) counts."""
    rng = random.Random(seed)
    users, tags = collections.Counter(), collections.Counter()
    with open(path, "w", encoding="utf-8") as f:
        for n in range(count):
            if rng.random() < 0.15:
                f.write(json.dumps({"delete": {"status": {"id": n}}}) + "\n")
                continue
            user = "user%d" % min(int(rng.expovariate(0.2)), 40)
            tagged = [rng.choice(["news", "Kaffee", "日本", "a b"]) for _ in range(rng.choice([0, 0, 1, 2]))]
            users[user] += 1
            tags.update(tagged)
            f.write(json.dumps({"id": n, "username": user, "hashtags": tagged, "lang": "en",
                                "timestamp_ms": str(1439740800000 + n * 20)}, ensure_ascii=False) + "\n")
    return users, tags


def open_text(path):
    """Bytes of a recording, .xz or not."""
    opener = lzma.open if str(path).endswith(".xz") else open
    with opener(path, "rb") as f:
        return f.read()


def count_domains(path):
    """Changes per domain that a reader of Server-Sent Events dispatches: data lines up to a blank
    line; what has no blank line behind it does not count."""
    counts, data = collections.Counter(), []
    for line in open_text(path).split(b"\n")[:-1]:  # (behind the last line feed nothing has begun)
        line = line.rstrip(b"\r")
        if line.startswith(b"data:"):
            data.append(line[5:])
        elif not line and data:
            counts[json.loads(b"\n".join(data))["meta"]["domain"]] += 1
            data = []
    return counts


def count_tweets(path):
    users, tags = collections.Counter(), collections.Counter()
    for line in open_text(path).split(b"\n"):
        if line.strip():
            event = json.loads(line)
            if isinstance(event.get("username"), str):
                users[event["username"]] += 1
            tags.update(event.get("hashtags") or [])
    return users, tags
