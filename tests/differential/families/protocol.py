"""Bytes as they should not be, and as they may be: malformed, inline, split and joined anywhere.

Each case has a connection of its own; what comes back and whether the server hangs up must be the
same on both.
"""

from steps import Step
from support.resp import encode

CASES = [
    b"PING\r\n", b"PING\n", b"  PING  \r\n", b"\r\n\r\nPING\r\n", b"\n", b"\r\n", b"PING hello\r\n", b"ping 'a b'\r\n",
    b'ECHO "a\\x41\\n\\r\\t\\b\\a\\\\\\"b"\r\n', b"ECHO 'it\\'s'\r\n", b'ECHO "open\r\n', b"ECHO 'open\r\n", b'ECHO "a"b\r\n',
    b"ECHO 'a'b\r\n", b'SET a ""\r\nGET a\r\n', b"ECHO a\tb\r\n", b"ECHO a\x00b\r\n", b"SET k v\r\nGET k\r\nDEL k\r\n",
    b'ECHO "\\xzz"\r\n', b"echo \xff\xfe\r\n", b"GET\r\n", b"NOSUCH a b\r\n",
    b"*0\r\n", b"*-1\r\n", b"*-10\r\nPING\r\n", b"*1\r\n$4\r\nPING\r\n", b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n",
    b"*abc\r\n", b"*\r\n", b"* 1\r\n$4\r\nPING\r\n", b"*1 \r\n", b"*+1\r\n$4\r\nPING\r\n", b"*01\r\n$4\r\nPING\r\n",
    b"*1\r\nPING\r\n", b"*1\r\n:4\r\n", b"*2\r\n$4\r\nECHO\r\n+x\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$abc\r\n", b"*1\r\n$\r\n",
    b"*1\r\n$ 4\r\nPING\r\n", b"*1\r\n$4 \r\nPING\r\n", b"*1\r\n$0\r\n\r\n", b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n",
    b"*1\r\n$536870913\r\n", b"*1\r\n$536870912\r\n", b"*1\r\n$99999999999999999999\r\n", b"*2147483648\r\n",
    b"*2147483647\r\n", b"*1048576\r\n", b"*1048577\r\n", b"*99999999999999999999\r\n", b"*1\n$4\nPING\n", b"*1\r$4\r\n",
    b"*1\r\n$4\rPING\r\n", b"*1\rX$4\r\nPING\r\n", b"*1\r\n$4\r\nPINGPING", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nab",
    b"*1\r\n\r\n$4\r\nPING\r\n", b"\r\n*1\r\n$4\r\nPING\r\n", b"*1\r\n$4\r\nPING\r\n\r\n*1\r\n$4\r\nPING\r\n",
    b"+OK\r\n", b":1\r\n", b"$4\r\nPING\r\n", b"-ERR\r\n", b"%1\r\n+a\r\n+b\r\n", b"\x00\r\n", b"\xff\xff\r\n", b"~\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n", b"POST\r\n", b"post x\r\n", b"Host: x\r\n",
    b"host: x y\r\n", b"HOST:\r\n", b"*1\r\n$4\r\nPOST\r\n", b"*1\r\n$5\r\nHost:\r\n", b"PUT / HTTP/1.1\r\n\r\n", b"HEAD /\r\n",
    b"OPTIONS / HTTP/1.1\r\n\r\n", b"SET k v\r\nPOST /\r\nGET k\r\n",
    b"A" * 200000, b"A" * 65536 + b"\r\n", b"ECHO " + b"b" * 60000 + b"\r\n", b"*1\r\n$" + b"1" * 200000,
    b"*" + b"1" * 200000, b"*1\r\n" + b"B" * 200000, b"ECHO " + b"c " * 3000 + b"\r\n",
    b"QUIT\r\nPING\r\n", b"quit\r\n", b"*1\r\n$4\r\nQUIT\r\n*1\r\n$4\r\nPING\r\n", b"QUIT now\r\nPING\r\n",
    b"MULTI\r\nSET a 1\r\n*abc\r\n", b"SUBSCRIBE a\r\n*abc\r\n", b"PING\r\n*1\r\n$x\r\nPING\r\n",
]


def chunks(gen, data):
    """The same bytes in several writes, cut anywhere."""
    if gen.chance(0.5) or len(data) < 2:
        return [data]
    if len(data) < 40 and gen.chance(0.2):
        return [data[i:i + 1] for i in range(len(data))]
    cuts = sorted(gen.rng.randrange(1, len(data)) for _ in range(gen.rng.randint(1, 4)))
    return [data[a:b] for a, b in zip([0] + cuts, cuts + [len(data)])]


def case(gen, data, conn=0):
    return [Step("open", conn, []), Step("bytes", conn, chunks(gen, data))]


def malformed(gen, length):
    steps = []
    for _ in range(max(length // 15, 6)):
        steps += case(gen, gen.pick(CASES))
    return steps


def flipped(gen, length):
    """Good commands with a byte or two changed, dropped or doubled."""
    steps = []
    for _ in range(max(length // 15, 6)):
        data = bytearray()
        for _ in range(gen.rng.randint(1, 4)):
            data += encode(gen.pick([["PING"], ["ECHO", "hallo"], ["SET", "k", gen.member()], ["GET", "k"],
                                     ["MGET", "k", "k2"], ["ECHO", "x" * gen.rng.randint(0, 2000)]]))
        for _ in range(gen.rng.randint(1, 2)):
            at = gen.rng.randrange(len(data) or 1)
            if not data:
                break
            way = gen.rng.randint(0, 3)
            if way == 0:
                data[at] = gen.pick(b"\r\n*$0123459-+ :ab\x00\xff")
            elif way == 1:
                del data[at]
            elif way == 2:
                data.insert(at, gen.pick(b"\r\n*$019- a"))
            else:
                del data[at:]
        steps += case(gen, bytes(data) or b"\r\n")
    return steps


def split(gen, length):
    """Long pipelines, cut anywhere: nothing may depend on how the bytes arrive."""
    data, steps = b"", [Step("open", 0, [])]
    for i in range(gen.rng.randint(5, 60)):
        data += encode(gen.pick([
            ["SET", "k%d" % (i % 7), gen.text()], ["GET", "k%d" % (i % 5)], ["ECHO", "y" * gen.pick([0, 1, 100, 5000, 20000])],
            ["INCR", "n"], ["APPEND", "k1", "z" * 50], ["MULTI"], ["EXEC"], ["NOSUCH"]]))
        if gen.chance(0.1):
            data += gen.pick([b"PING\r\n", b"SET a b\r\n", b"\r\n", b"*0\r\n"])
    return steps + [Step("bytes", 0, chunks(gen, data + encode(["DISCARD"])))]


def large(gen, length):
    """Arguments around the sizes where buffers change their ways."""
    steps = [Step("open", 0, [])]
    for _ in range(3):
        size = gen.pick([16383, 16384, 32767, 32768, 32769, 65535, 65536, 262144, 1000000, 3000000])
        steps.append(Step("bytes", 0, chunks(gen, encode(["SET", "big", "L" * size]) + encode(["STRLEN", "big"])
                                             + encode(["GETRANGE", "big", str(size - 5), "-1"])
                                             + encode(["GET", "big"]) + encode(["DEL", "big"]))))
    return steps


SEQUENCES = {"malformed": malformed, "flipped": flipped, "split": split, "large": large}
