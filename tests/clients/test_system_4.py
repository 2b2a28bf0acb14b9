"""System 4: several named subscribers, each with its own progress; who was offline first works on what it missed,
then listens, and nothing falls between the two. The program is plain redis-py, with SUBSCRIBE and a client name."""

import os
import subprocess

import redis

from support.feeds import wait_for

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scripts", "durable_subscriber.py")


def lines(path):
    return open(path).read().split("\n")[:-1] if os.path.exists(path) else []


def once(found):
    """Each for the first time."""
    return list(dict.fromkeys(found))


def test_system_4(leat, tmp_path):
    client = redis.Redis(port=leat.port, decode_responses=True)
    client.config_set("durable", "orders*")
    paths = {name: str(tmp_path / name) for name in ("billing", "shipping")}
    running = {}

    def start(name):
        before = client.pubsub_numsub("orders")[0][1]
        running[name] = subprocess.Popen(["/usr/bin/python3", SCRIPT, str(leat.port), name, "orders", paths[name]],
                                         stdin=subprocess.DEVNULL)
        assert wait_for(lambda: client.pubsub_numsub("orders")[0][1] == before + 1)

    def stop(name):
        running[name].kill()
        running.pop(name).wait()

    sent = []

    def publish(count, receivers):
        for _ in range(count):
            sent.append("order-%d" % len(sent))
            assert client.publish("orders", sent[-1]) == receivers

    try:
        start("billing")
        start("shipping")
        publish(10, 2)
        assert wait_for(lambda: lines(paths["billing"]) == lines(paths["shipping"]) == sent)
        stop("billing")
        assert wait_for(lambda: client.pubsub_numsub("orders")[0][1] == 1)
        publish(10, 1)
        stop("shipping")
        assert wait_for(lambda: client.pubsub_numsub("orders")[0][1] == 0)
        publish(10, 0)
        start("billing")
        publish(10, 1)
        assert wait_for(lambda: once(lines(paths["billing"])) == sent)
        start("shipping")
        publish(10, 2)
        assert wait_for(lambda: once(lines(paths["billing"])) == once(lines(paths["shipping"])) == sent)
        assert {g["name"] for g in client.xinfo_groups("orders")} == {"durable:billing", "durable:shipping"}
    finally:
        for name in list(running):
            stop(name)


def test_without_a_name_nothing_is_new(leat):
    client = redis.Redis(port=leat.port, decode_responses=True)
    client.config_set("durable", "orders*")
    listening = client.pubsub()
    listening.subscribe("orders")
    assert listening.get_message(timeout=5)["type"] == "subscribe"
    client.publish("orders", "one")
    assert listening.get_message(timeout=5)["data"] == "one"
    listening.close()
    assert wait_for(lambda: client.pubsub_numsub("orders")[0][1] == 0)
    client.publish("orders", "two")
    listening = client.pubsub()
    listening.subscribe("orders")
    assert listening.get_message(timeout=5)["type"] == "subscribe"
    assert listening.get_message(timeout=0.3) is None
    assert client.xinfo_groups("orders") == []
