"""Runs one sequence on both servers and finds the first step at which they part."""

import re
import select
import socket
import time

import dynamic
from compare import SKEW, same_event_frames, same_exec, same_meaning
from exceptions import covering, covering_bytes, covering_frames
from support.resp import Closed, Connection, Malformed, encode, to_bytes

BATCH = 48
PASSWORD = "secret"  # the one that sequences set
DEFAULTS = [("hash-max-listpack-entries", "128"), ("hash-max-listpack-value", "64"), ("set-max-intset-entries", "512"),
            ("list-max-listpack-size", "-2"),
            ("zset-max-listpack-entries", "128"), ("zset-max-listpack-value", "64"),
            ("stream-node-max-entries", "100")]
TOKEN_SECONDS = 10.0  # for what must come: only a server that hangs takes so long
SILENCE_SECONDS = 0.15  # nothing comes: no less, and no less than so many times what a PING takes elsewhere
SILENCE_ROUND_TRIPS = 20


def alike(args, redis, leat):
    """The same, or different on purpose."""
    name = bytes(args[0]).upper() if args else b""
    return same_meaning(name, args, redis, leat) or covering(args, redis, leat) is not None


class Gone:
    """What a connection says instead of a reply."""

    def __init__(self, what):
        self.what = what
        self.raw, self.reply = b"<" + what.encode() + b">", (b"!", what.encode())

    def pair(self):
        return self.raw, self.reply


class Side:
    """One server, with the connections of the sequence."""

    def __init__(self, port):
        self.port = port
        self.conns = {}

    def conn(self, number):
        if number not in self.conns:
            self.conns[number] = Connection(self.port, timeout=TOKEN_SECONDS)
        return self.conns[number]

    def reopen(self, number):
        if number in self.conns:
            self.conns.pop(number).close()
        self.conn(number)

    def close(self):
        for conn in self.conns.values():
            conn.close()
        self.conns.clear()

    def wait_until_seen(self, waiting):
        """Until the server has taken in what was sent on each of these connections: it has answered,
        or is known to keep the client waiting."""
        until = time.monotonic() + TOKEN_SECONDS
        while time.monotonic() < until:
            answered = select.select([self.conn(n).sock for n in waiting], [], [], 0)[0]
            info = self.conn("reset").call("INFO", "clients")[1]
            if len(answered) + int(re.search(rb"blocked_clients:(\d+)", info).group(1)) >= len(waiting):
                return

    def round_trip(self):
        """Seconds that the server takes to answer somebody else: how busy the machine is."""
        begun = time.monotonic()
        self.conn("reset").call("PING")
        return time.monotonic() - begun

    def take_in(self):
        """Until the server has had every chance to read what was sent."""
        for _ in range(8):
            self.round_trip()

    def read_one(self, number):
        try:
            return self.conn(number).read()
        except Closed:
            return Gone("closed").pair()
        except socket.timeout:
            return Gone("timeout").pair()
        except Malformed as e:
            return Gone("malformed: %s" % e).pair()

    def read_to_token(self, number, token):
        """Every frame before the one that carries the token."""
        frames = []
        while True:
            try:
                raw, reply = self.conn(number).read(TOKEN_SECONDS)
            except Closed:
                return frames + [Gone("closed").pair()]
            except socket.timeout:
                return frames + [Gone("timeout").pair()]
            except Malformed as e:
                return frames + [Gone("malformed: %s" % e).pair()]
            if token in raw:
                return frames
            frames.append((raw, reply))

    def _read_patiently(self, number, seconds):
        try:
            return self.conn(number).read(seconds)[0]
        except socket.timeout:
            return self.conn(number).read(SILENCE_ROUND_TRIPS * self.round_trip() - seconds)[0]

    def read_until(self, number, token, expected, seconds):
        """(frames before the token, how it ended); up to `expected` frames are waited for longer."""
        frames = []
        while True:
            try:
                raw = self._read_patiently(number, TOKEN_SECONDS if len(frames) < expected else seconds)
            except Closed:
                return frames, "closed"
            except socket.timeout:
                return frames, "silent"
            except Malformed as e:
                return frames, "malformed: %s" % e
            if token in raw and not raw.startswith(b"-"):
                return frames, "answering"
            frames.append(raw)


class Mismatch:
    def __init__(self, index, step, redis, leat):
        self.index, self.step, self.redis, self.leat = index, step, redis, leat


class Runner:
    def __init__(self, redis_port, leat_port):
        self.sides = [Side(redis_port), Side(leat_port)]
        self.token = 0
        self.steps_run = 0

    def reset(self):
        """Both servers as they were at their start, as far as a sequence can change them."""
        for side in self.sides:
            side.close()
            conn = side.conn("reset")
            # (A sequence that broke off may have left its password; without one AUTH is an error.)
            commands = [["AUTH", PASSWORD], ["CONFIG", "SET", "requirepass", ""], ["CLIENT", "UNPAUSE"], ["FLUSHALL"],
                        ["CONFIG", "SET", "notify-keyspace-events", ""]] + [
                            ["CONFIG", "SET", name, value] for name, value in DEFAULTS]
            conn.send(b"".join(map(encode, commands)))
            for _ in commands:
                conn.read()
            side.reopen("reset")

    def run(self, steps):
        """The first Mismatch, or None."""
        self.reset()
        self.queued, self.sent = {}, {}
        SKEW.forget()
        try:
            at = 0
            while at < len(steps):
                end = self._batch_end(steps, at)
                found = self._run_batch(steps, at, end) if end > at else self._run_single(steps, at)
                if found:
                    return found
                self.steps_run += max(end - at, 1)
                at = max(end, at + 1)
            return None
        finally:
            SKEW.forget()
            for side in self.sides:
                side.close()

    @staticmethod
    def _batchable(step):
        return step.kind == "cmd" and step.name() not in dynamic.BY_NAME

    def _batch_end(self, steps, at):
        end = at
        while (end < len(steps) and end - at < BATCH and self._batchable(steps[end])
               and steps[end].conn == steps[at].conn):
            end += 1
        return end

    def _run_batch(self, steps, at, end):
        number = steps[at].conn
        data = b"".join(encode(s.args) for s in steps[at:end])
        begun = time.monotonic()
        for side in self.sides:
            side.conn(number).send(data)
        for index in range(at, end):
            redis, leat = (side.read_one(number) for side in self.sides)
            SKEW.saw(time.monotonic() - begun)
            if not self._same(steps[index], redis, leat):
                return Mismatch(index, steps[index], redis[0], leat[0])
        return None

    def _same(self, step, redis, leat):
        name, queue = step.name(), self.queued.setdefault(step.conn, [])
        if name == b"EXEC":
            same = same_exec(queue, redis, leat, alike)
        else:
            same = redis[0] == leat[0] or alike(step.args, redis[1], leat[1])
        if redis[1] == (b"+", b"QUEUED"):
            queue.append(step.args)
        elif name in (b"EXEC", b"DISCARD", b"RESET") or redis[1] == (b"+", b"OK") and name == b"MULTI":
            del queue[:]
        return same

    def _run_single(self, steps, index):
        step = steps[index]
        if step.kind == "sleep":
            time.sleep(step.args[0] / 1000)
        elif step.kind == "open":
            for side in self.sides:
                side.reopen(step.conn)
        elif step.kind == "send":
            self.sent.setdefault(step.conn, []).append(step)
            begun = time.monotonic()
            for side in self.sides:
                side.conn(step.conn).send(encode(step.args))
                side.wait_until_seen([n for n, waiting in self.sent.items() if waiting])
            SKEW.saw(time.monotonic() - begun)
        elif step.kind == "recv" and self.sent.get(step.conn):
            redis, leat = (side.read_one(step.conn) for side in self.sides)
            if not self._same(self.sent[step.conn].pop(0), redis, leat):
                return Mismatch(index, step, redis[0], leat[0])
        elif step.kind == "cmd":
            return self._run_dynamic(index, step)
        elif step.kind == "bytes":
            return self._run_bytes(index, step)
        else:
            return self._run_token(index, step)
        return None

    def _run_dynamic(self, index, step):
        got, begun = [], time.monotonic()
        for side in self.sides:
            try:
                got.append(dynamic.run(side.conn(step.conn), step.args))
            except (Closed, socket.timeout, Malformed) as e:
                got.append((None, "no reply: %r" % e))
        SKEW.saw(time.monotonic() - begun)
        if got[0] == got[1] and got[0][1] is None:
            return None
        return Mismatch(index, step, repr(got[0]).encode(), repr(got[1]).encode())

    def _run_bytes(self, index, step):
        """Bytes that may leave the server waiting for more of them: there silence is an answer."""
        self.token += 1
        token = b"token-%d" % self.token
        for chunk in step.args + [encode([b"PING", token])]:
            for side in self.sides:
                side.conn(step.conn).send(chunk)
            if len(chunk) > 60000:  # an endless line must be seen to be one before the token's line feed ends it
                time.sleep(0.02)
                for side in self.sides:
                    side.take_in()
            elif len(step.args) > 1:
                time.sleep(0.001)
        frames, ended = self.sides[0].read_until(step.conn, token, 0, SILENCE_SECONDS)
        wait = TOKEN_SECONDS if ended != "silent" else SILENCE_SECONDS
        other = self.sides[1].read_until(step.conn, token, len(frames), wait)
        if ended == "silent" and other[1] != "silent":  # or was it only slow?
            more, ended = self.sides[0].read_until(step.conn, token, 0, TOKEN_SECONDS)
            frames += more
        if (frames, ended) == other or covering_bytes(b"".join(step.args), (frames, ended), other):
            return None
        return Mismatch(index, step, *(b"".join(f) + b" <" + e.encode() + b">"
                                       for f, e in ((frames, ended), other)))

    def _run_token(self, index, step):
        self.token += 1
        token = b"token-%d" % self.token
        data = to_bytes(step.args[0]) if step.kind == "raw" else encode(step.args)
        if step.kind == "token" and not step.args:
            data = b""
        frames, begun = [], time.monotonic()
        for side in self.sides:
            side.conn(step.conn).send(data + encode([b"PING", token]))
        for side in self.sides:
            frames.append(side.read_to_token(step.conn, token))
        SKEW.saw(time.monotonic() - begun)
        redis, leat = frames
        if [raw for raw, _ in redis] == [raw for raw, _ in leat] or same_event_frames(redis, leat):
            return None
        if len(redis) == len(leat) and step.args and all(
                a[0] == b[0] or alike(step.args, a[1], b[1]) for a, b in zip(redis, leat)):
            return None
        if covering_frames(redis, leat):
            return None
        return Mismatch(index, step, b"".join(r for r, _ in redis), b"".join(r for r, _ in leat))


def shorten(runner, steps, mismatch, runs_max=120, seconds=20):
    """The same failure with fewer steps: drops halves, quarters, … single steps, while it still
    fails at the same command."""
    steps, name = steps[:mismatch.index + 1], mismatch.step.name()
    until = time.monotonic() + seconds
    size = max(len(steps) // 2, 1)
    while runs_max > 0 and time.monotonic() < until:
        at, dropped = 0, False
        while at < len(steps) - 1 and runs_max > 0 and time.monotonic() < until:
            shorter = steps[:at] + steps[min(at + size, len(steps) - 1):]
            runs_max -= 1
            found = runner.run(shorter)
            if found and found.step.name() == name:
                steps, mismatch, dropped = shorter[:found.index + 1], found, True
            else:
                at += size
        if size == 1 and not dropped:
            break
        size = max(size // 2, 1)
    return steps, mismatch
