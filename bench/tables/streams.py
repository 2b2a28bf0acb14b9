"""Entries added to a stream."""

from bench.support.load import rate

NAME = "streams"
TITLE = "XADD of 64 bytes, 50 connections, pipeline 32"

GOALS = {"redis-server": 1.5, "redis-server, nothing kept": 0.95}


def add(server, seconds):
    """Entries per second into a stream that was empty; it is deleted afterwards."""
    try:
        return rate(server, "XADD stream * data __data:64__", connections=50, pipeline=32, seconds=seconds)
    finally:
        server.command("DEL", "stream")


def run(bench):
    seconds = bench.seconds(2)
    with bench.leat("always") as leat, bench.redis("always") as redis, bench.redis() as forgetful:
        leat.need("XADD")
        got = bench.turns({"leat": lambda: add(leat, seconds), "redis-server": lambda: add(redis, seconds),
                           "redis-server, nothing kept": lambda: add(forgetful, seconds)},
                          rounds=bench.rounds(7), what="XADD")
        for other, goal in GOALS.items():
            bench.row("XADD always, beside " + ("always" if other == "redis-server" else "nothing kept"), "/s",
                      got["leat"], got[other], at_least=goal)
