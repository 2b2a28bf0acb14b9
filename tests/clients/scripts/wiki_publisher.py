"""Reads a feed of Server-Sent Events and publishes each change on channel `wiki`, for ever."""

import os
import time
import urllib.request

import redis


def main():
    r = redis.Redis(host="127.0.0.1", port=int(os.environ["REDIS_PORT"]))
    while True:
        try:
            with urllib.request.urlopen(os.environ["FEED_URL"], timeout=30) as feed:
                for line in feed:
                    if line.startswith(b"data: "):
                        r.publish("wiki", line[6:].strip())
        except OSError:
            pass
        if os.environ.get("ONCE"):
            return
        time.sleep(1)


if __name__ == "__main__":
    main()
