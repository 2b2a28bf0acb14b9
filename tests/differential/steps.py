"""What a sequence is made of, and what its generators draw from.

A sequence is a list of `Step`s. It is data only, so that it can be printed, shortened and run again.
"""


import re


class Step:
    """kind: `cmd` one command, one reply; `token` one command, every frame up to the answer of a
    PING sent behind it; `raw` bytes as they are, likewise up to the token; `send` one command
    without waiting for its reply; `recv` that reply; `bytes` pieces written one by one; `sleep` milliseconds; `open` a fresh
    connection in place of the old one."""
    __slots__ = ("kind", "conn", "args")

    def __init__(self, kind, conn, args):
        self.kind, self.conn, self.args = kind, conn, args

    def name(self):
        return bytes(self.args[0]).upper() if self.kind in ("cmd", "token", "send") and self.args else b""

    def show(self):
        if self.kind == "sleep":
            return "(sleep %d ms)" % self.args[0]
        if self.kind == "open":
            return "[%d] (new connection)" % self.conn
        if self.kind in ("send", "recv"):
            return "[%d] (%s) %s" % (self.conn, self.kind, " ".join(show_arg(a) for a in self.args))
        if self.kind in ("raw", "bytes"):
            return "[%d] (%s) %s" % (self.conn, self.kind, " | ".join(brief(a) for a in self.args))
        return "[%d] %s" % (self.conn, " ".join(show_arg(a) for a in self.args))


def brief(data, most=400):
    return repr(data) if len(data) <= most else "%r… (%d bytes)" % (data[:most], len(data))


def show_arg(arg):
    text = repr(arg)[1:]
    plain = text[1:-1]
    if plain and plain.replace("_", "").replace("-", "").replace(".", "").replace(":", "").isalnum():
        return plain
    return '"' + plain.replace('"', '\\"') + '"'


INTEGERS = ["0", "1", "-1", "2", "3", "5", "10", "-10", "100", "127", "128", "-128", "-129", "255", "256",
            "32767", "32768", "65535", "65536", "2147483647", "2147483648", "-2147483648",
            "4294967295", "4294967296", "9223372036854775807", "-9223372036854775808",
            "9223372036854775806", "9223372036854775808", "-9223372036854775809",
            "18446744073709551615", "99999999999999999999"]
FLOATS = ["0", "1", "-1", "0.5", "1.5", "-2.25", "3.0", "1e3", "1E-2", "1e308", "-1e308", "5e-324",
          "inf", "-inf", "+inf", "Infinity", "0.1", "0.2", "3.14159265358979", "-0", "-0.0", "1e17",
          "123456789012345678", "1e21", "1e22", "1.7976931348623157e308", "9007199254740993", "1e-7"]
BAD_NUMBERS = ["", " ", "abc", " 1", "1 ", "01", "+1", "0x10", "1.0", "1e1", "nan", "NaN", "--1", "-",
               "1\x00", "1_000", "1,5", "\u0661", "1e400", "0.0.1", "1e", "infinit", "1.5abc", "-nan"]


class Gen:
    """Draws from small pools, so that commands meet on the same keys, fields and members."""

    def __init__(self, rng):
        self.rng = rng

    def chance(self, p):
        return self.rng.random() < p

    def pick(self, seq):
        return self.rng.choice(seq)

    def some(self, fn, low=1, high=4):
        out = []
        for _ in range(self.rng.randint(low, high)):
            got = fn()
            out.extend(got) if isinstance(got, list) else out.append(got)
        return out

    def case(self, word):
        """A keyword, now and then in another case."""
        return self.pick([word, word, word, word.lower(), word.capitalize()])

    def maybe(self, p, *tokens):
        return list(tokens) if self.chance(p) else []

    # Each type has its own keys, and shares them with the others only now and then.
    def key(self, kind):
        if self.chance(0.06):
            return self.pick(["s1", "h1", "t1", "z1", "l1", "", "nokey", b"\x00\xffbin"])
        return self.own_key(kind)

    def own_key(self, kind):
        return kind + str(self.rng.randint(1, 4))

    def any_key(self):
        return self.key(self.pick("shtzl"))

    def int(self):
        if self.chance(0.07):
            return self.pick(BAD_NUMBERS)
        if self.chance(0.15):
            return self.pick(INTEGERS)
        return str(self.rng.randint(-20, 20))

    def small(self, low=-3, high=6):
        if self.chance(0.04):
            return self.pick(BAD_NUMBERS + INTEGERS)
        return str(self.rng.randint(low, high))

    def float(self):
        if self.chance(0.07):
            return self.pick(BAD_NUMBERS)
        if self.chance(0.25):
            return self.pick(FLOATS)
        return str(self.rng.randint(-8, 8))

    def text(self):
        r = self.rng.random()
        if r < 0.35:
            return self.pick(["a", "b", "c", "d", "e", "aa", "ab", "B", "foo", "bar", "zz"])
        if r < 0.55:
            return str(self.rng.randint(-5, 12))
        if r < 0.65:
            return self.pick(INTEGERS + FLOATS)
        if r < 0.72:
            return self.pick(["", " ", b"\x00", b"\xff\xfe", "\u00e9\u4e2d", "a b", "quo\"te", "\r\n", "$-1\r\n"])
        if r < 0.80:
            return self.pick(["x" * n for n in (39, 43, 44, 45, 63, 64, 65, 66, 130, 300)])
        return self.pick(["hello", "world", "value", "longer value with spaces", "1.5", "3.0", "10"])

    def field(self):
        if self.chance(0.08):
            return self.text()
        return "f" + str(self.rng.randint(1, 6))

    def member(self):
        if self.chance(0.2):
            return self.text()
        return self.pick(["a", "b", "c", "d", "e", "f", "g", "1", "2", "3", "4", "-7", "100000", "5000000000"])

    def pattern(self):
        return self.pick(["*", "s*", "?1", "h[12]", "h[^1]", "t[1-3]", "[", "[a", "\\*", "*1*", "", "z1", "a**b",
                          "f*", "[^", "h\\1", "*[0-9]", "s[3-1]", "\\", "?", "??", "no*"])


JUNK = ["", "NX", "XX", "GT", "LT", "EX", "PX", "0", "1", "-1", "abc", "LIMIT", "WITHSCORES", "COUNT", "MATCH",
        "*", "nan", "KEEPTTL", "GET", "STORE", "9223372036854775807", "WEIGHTS", "AGGREGATE", "REV", "BYSCORE"]


def mutate(gen, args):
    """Breaks a well-formed command in one small way."""
    args = list(args)
    way = gen.rng.randint(0, 6)
    at = gen.rng.randrange(1, len(args)) if len(args) > 1 else 0
    if way == 0 and at:
        del args[at]
    elif way == 1:
        args.insert(gen.rng.randint(1, len(args)), gen.pick(JUNK))
    elif way == 2 and at:
        args[at] = gen.pick(JUNK + BAD_NUMBERS)
    elif way == 3 and at:
        args.insert(at, args[at])
    elif way == 4 and len(args) > 2:
        other = gen.rng.randrange(1, len(args))
        args[at], args[other] = args[other], args[at]
    elif way == 5:
        del args[gen.rng.randint(1, len(args)):]
    elif at:
        args[at] = gen.any_key()
    return args


def whole(arg):
    """The integer that an argument is, or 0."""
    text = arg.decode("latin-1") if isinstance(arg, bytes) else str(arg)
    return int(text) if text.isascii() and text.lstrip("-").isdigit() and text.count("-") < 2 else 0


def is_number(arg):
    try:
        return float(arg.decode("latin-1")) >= 0
    except ValueError:
        return False


# Where commands that wait for a list have their timeout.
WAITING = {b"BLPOP": -1, b"BRPOP": -1, b"BLMOVE": -1, b"BRPOPLPUSH": -1, b"BLMPOP": 1}


def lexical(name, args):
    return name.endswith((b"BYLEX", b"LEXCOUNT")) or any(a.upper() == b"BYLEX" for a in args)


def renamed(arg, old, new):
    """A key of one kind as the same of another."""
    found = re.fullmatch(rb"(\w+:)?([a-z])([0-9])", arg)
    return (found.group(1) or b"") + new + found.group(3) if found and found.group(2) == old else arg


def tame(args):
    """Takes the edge off what would hang the run or make it depend on the clock: draws of billions,
    waits without end, and keys that run out within a sequence. And ranges by name are only asked of
    the keys y1 to y4, whose members all have the score 0: of others their result is unspecified."""
    name = args[0].upper()
    if lexical(name, args):
        args = [renamed(a, b"z", b"y") for a in args]
    elif name not in (b"DEL", b"ZREM") and not (name == b"ZADD" and set(args[2::2]) <= {b"0"}):
        args = [renamed(a, b"y", b"z") for a in args]
    if name in (b"ZRANK", b"ZREVRANK") and len(args) == 4:
        del args[3]  # 7.2's WITHSCORE: see tests/written
    for at, arg in enumerate(args[1:], 1):
        number = whole(arg)
        before = args[at - 1].upper()
        if name in (b"SRANDMEMBER", b"HRANDFIELD", b"ZRANDMEMBER") and -(1 << 63) < number < -1000:
            args[at] = b"-1000"
        elif name in WAITING and at == WAITING[name] % len(args) and is_number(arg):
            args[at] = b"0.01"
        elif name in (b"XREAD", b"XREADGROUP") and before == b"BLOCK" and is_number(arg):
            args[at] = b"10"
        elif (name in (b"XCLAIM", b"XAUTOCLAIM") and at == 4 or name == b"XPENDING" and before == b"IDLE") and (
                0 < number < 1000000):
            args[at] = b"1000000"  # a time that no sequence takes
        elif name == b"XADD" and at > 1 and arg == b"*":
            args[at] = b"7-*"  # only a sequence of its own asks the clock
        elif name == b"WAIT" and (number > 0 or at == 2 and number == 0):
            args[at] = b"10"
        elif (name in (b"EXPIRE", b"SETEX") and at == 2 or before == b"EX") and 0 < number < 60:
            args[at] = b"100"
        elif (name in (b"PEXPIRE", b"PSETEX") and at == 2 or before == b"PX") and 0 < number < 60000:
            args[at] = b"100000"
    return args
