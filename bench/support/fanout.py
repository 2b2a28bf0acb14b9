"""Runs bench/fanout: subscribers and a publisher, and the bare server that is the upper bound."""

import contextlib
import json
import socket
import subprocess
import time

from bench.support.load import LoadError, program
from support.servers import free_port

SECONDS, WARM_UP_SECONDS = 1.2, 0.3


class Bare:
    """Writes the bytes that a server would write, and does nothing else."""

    label = "bare server"

    def __init__(self, size):
        self.port = free_port()
        self.process = subprocess.Popen([program("fanout"), "--bare", "--port", str(self.port), "--size", str(size)],
                                        stdout=subprocess.DEVNULL, start_new_session=True)

    def wait_ready(self):
        until = time.monotonic() + 5
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.02)
        raise LoadError("the bare server does not listen")


@contextlib.contextmanager
def bare(size=64):
    server = Bare(size)
    try:
        yield server.wait_ready()
    finally:
        server.process.kill()
        server.process.wait()


def fanout(bench, server, subscribers, depth, size=64, *more):
    """What a run showed. Every message must have come to every subscriber."""
    before = server.calls().get("publish", 0) if hasattr(server, "calls") else 0
    words = [program("fanout"), "--port", server.port, "--subscribers", subscribers, "--depth", depth, "--size", size,
             "--seconds", bench.seconds(SECONDS), "--warm-up", WARM_UP_SECONDS, "--pid", server.process.pid, *more]
    process = subprocess.Popen([str(word) for word in words], text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, start_new_session=True)
    try:
        out, err = process.communicate()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode != 0:
        raise LoadError("%s, %d subscribers, depth %d: %s" % (server.label, subscribers, depth, err.strip()))
    got = json.loads(out)
    if hasattr(server, "calls"):
        done = server.calls().get("publish", 0) - before
        if done < got["publishes_per_s"] * got["seconds"] * 0.999:
            raise LoadError("%s counts %d PUBLISH, fewer than were answered" % (server.label, done))
    return {key: got[key] for key in ("deliveries_per_s", "p99_us", "server_ns_per_delivery")}
