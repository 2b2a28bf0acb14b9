"""RESP as it lies on the wire: nothing is interpreted more than needed to find where a reply ends.

A reply is a tuple (kind, value): kind is the one-byte type mark; value is bytes for the simple kinds
and strings, a list of replies for `*`, `~`, `>` and `%` (keys and values in turn), None for the
RESP2 nulls. `Connection.read` also keeps the very bytes.
"""

import socket
import time

AGGREGATES = b"*~>%|"
STRINGS = b"$=!"


class Incomplete(Exception):
    """The reply does not end within the bytes there are."""


class Malformed(Exception):
    """What came is not RESP."""


class Closed(Exception):
    """The peer closed the connection."""


def parse(data, at=0, aside=None):
    """(reply, index after it). With a list as `aside`, pushes that stand inside of a reply are put
    there instead (redis-server 7.0 does that to a client that subscribes and publishes)."""
    if at >= len(data):
        raise Incomplete
    end = data.find(b"\r\n", at)
    if end < 0:
        raise Incomplete
    mark, line = bytes(data[at:at + 1]), bytes(data[at + 1:end])
    at = end + 2
    if mark in (b"+", b"-", b":", b"_", b"#", b",", b"("):
        return (mark, line), at
    if mark not in (b"$", b"=", b"!", b"*", b"~", b">", b"%", b"|"):
        raise Malformed("not a reply: %r" % bytes(data[end - len(line) - 1:end + 40]))
    try:
        count = int(line)
    except ValueError:
        raise Malformed("not a length: %r" % line)
    if count < 0:
        return (mark, None), at
    if mark in STRINGS:
        if at + count + 2 > len(data):
            raise Incomplete
        if data[at + count:at + count + 2] != b"\r\n":
            raise Malformed("a string of %d bytes does not end there" % count)
        return (mark, bytes(data[at:at + count])), at + count + 2
    items = []
    while len(items) < (count * 2 if mark in b"%|" else count):
        item, at = parse(data, at, aside)
        if aside is not None and item[0] == b">":
            aside.append(item)
        else:
            items.append(item)
    return (mark, items), at


def encode(args):
    """A command as clients send it."""
    out = [b"*%d\r\n" % len(args)]
    for arg in args:
        arg = to_bytes(arg)
        out.append(b"$%d\r\n%s\r\n" % (len(arg), arg))
    return b"".join(out)


def to_bytes(arg):
    if isinstance(arg, bytes):
        return arg
    if isinstance(arg, str):
        return arg.encode()
    if isinstance(arg, float):
        return repr(arg).encode()
    return b"%d" % arg


class Connection:
    def __init__(self, port, host="127.0.0.1", timeout=10.0):
        self.sock = socket.create_connection((host, port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.timeout = timeout
        self.buffer = bytearray()

    def close(self):
        self.sock.close()

    def send(self, data):
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # what the peer said before it closed is still to be read

    def _fill(self, timeout):
        self.sock.settimeout(max(timeout, 0.001))
        try:
            data = self.sock.recv(262144)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed
        self.buffer += data

    def read(self, timeout=None):
        """(bytes, reply). Raises socket.timeout, Closed, Malformed."""
        until = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            try:
                reply, end = parse(self.buffer)
                raw = bytes(self.buffer[:end])
                del self.buffer[:end]
                return raw, reply
            except Incomplete:
                self._fill(until - time.monotonic())

    def read_all(self, idle):
        """All bytes until nothing came for `idle` seconds: (bytes, whether the peer closed)."""
        while True:
            try:
                self._fill(idle)
            except socket.timeout:
                closed = False
                break
            except Closed:
                closed = True
                break
        data = bytes(self.buffer)
        self.buffer.clear()
        return data, closed

    def call(self, *args):
        """One command, its reply (no pushes expected)."""
        self.send(encode(args))
        return self.read()[1]


def texts(reply):
    """The strings of a flat reply, for tests that want Python values; pairs in turn for a map."""
    kind, value = reply
    if value is None or kind == b"_":
        return None
    if kind in AGGREGATES:
        return [texts(item) for item in value]
    if kind == b":":
        return int(value)
    return value
