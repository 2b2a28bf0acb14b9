"""Reads an endless HTTP response of JSON lines; publishes who wrote and which tags, for ever."""

import json
import os
import time
import urllib.request

import redis


def main():
    r = redis.StrictRedis(host="127.0.0.1", port=int(os.environ["REDIS_PORT"]))
    while True:
        try:
            with urllib.request.urlopen(os.environ["FEED_URL"], timeout=30) as feed:
                for line in feed:
                    if not line.strip():
                        continue
                    tweet = json.loads(line)
                    if "username" in tweet:
                        r.publish("usernames", tweet["username"])
                    if tweet.get("hashtags"):
                        r.publish("hashtags", json.dumps(tweet["hashtags"]))
        except OSError:
            pass
        if os.environ.get("ONCE"):
            return
        time.sleep(1)


if __name__ == "__main__":
    main()
