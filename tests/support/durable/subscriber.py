"""subscriber.py PORT NAME CHANNEL FILE [--slow]: writes each message as a line, and starts anew when the server goes."""

import random
import signal
import sys
import time

import redis

port, name, channel, path = int(sys.argv[1]), *sys.argv[2:5]
slow = "--slow" in sys.argv
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

with open(path, "a", buffering=1) as out:
    while True:
        try:
            client = redis.Redis(port=port, client_name=name, decode_responses=True)
            listening = client.pubsub(ignore_subscribe_messages=False)
            listening.subscribe(channel)
            for message in listening.listen():
                if message["type"] == "subscribe":
                    out.write("\n# subscribed\n")
                    continue
                out.write(message["data"] + "\n")
                if slow and random.random() < 0.01:
                    time.sleep(0.05)
        except redis.ConnectionError:
            time.sleep(0.1)
