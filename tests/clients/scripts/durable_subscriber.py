"""A subscriber as people write it: it has a name, subscribes, and works on what comes. Nothing in it knows of
durability. Usage: durable_subscriber.py PORT NAME CHANNEL FILE"""

import sys

import redis

port, name, channel, path = int(sys.argv[1]), *sys.argv[2:5]

client = redis.Redis(port=port, client_name=name, decode_responses=True)
listening = client.pubsub(ignore_subscribe_messages=True)
listening.subscribe(channel)
with open(path, "a", buffering=1) as done:
    for message in listening.listen():
        done.write(message["data"] + "\n")
