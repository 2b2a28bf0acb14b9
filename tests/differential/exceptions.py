"""Where leat answers differently from Redis 7.0 on purpose. Each has a name, a reason, and a
predicate over (command name, arguments, redis's reply, leat's reply) that is as narrow as it can be.
A difference that no predicate covers is a failure; run.py prints how often each was used."""


class Exception_:
    def __init__(self, name, reason, covers):
        self.name, self.reason, self.covers = name, reason, covers
        self.used = 0


def _sub(args):
    return bytes(args[1]).upper() if len(args) > 1 else b""


def _set_encoding(name, args, redis, leat):
    return (name == b"OBJECT" and _sub(args) == b"ENCODING"
            and redis == (b"$", b"hashtable") and leat == (b"$", b"listpack"))


def _hello(name, args, redis, leat):
    """Same map, but for version and connection id."""
    if name != b"HELLO" or redis[0] != leat[0] or redis[0] not in (b"*", b"%"):
        return False

    def fields(reply):
        items = reply[1]
        return [(items[i], items[i + 1]) for i in range(0, len(items), 2)]
    ours, theirs = fields(leat), fields(redis)
    if [k for k, _ in ours] != [k for k, _ in theirs]:
        return False
    return all(m == n or k[1] in (b"version", b"id") for (k, m), (_, n) in zip(ours, theirs))


def _help(name, args, redis, leat):
    return _sub(args) == b"HELP" and redis[0] == leat[0] == b"*" and leat[1] and all(
        item[0] in (b"+", b"$") for item in leat[1])


def _memory(name, args, redis, leat):
    return (name == b"MEMORY" and _sub(args) == b"USAGE" and redis[0] == leat[0] == b":"
            and int(leat[1]) > 0)


def _client_line(name, args, redis, leat):
    """The fields Redis 7.0 shows are all there, under the same names, and those that a test can
    know have the same values."""
    if name != b"CLIENT" or _sub(args) not in (b"LIST", b"INFO") or redis[0] != leat[0]:
        return False
    known = ("name", "db", "sub", "psub", "multi", "resp", "user", "cmd")

    def lines(reply):
        return [dict(f.split("=", 1) for f in line.split(" ") if "=" in f)
                for line in reply[1].decode("latin-1").strip("\n").split("\n") if line]
    ours, theirs = lines(leat), lines(redis)
    if len(ours) != len(theirs):
        return False
    return all(set(t) <= set(o) and all(t.get(k) == o.get(k) for k in known)
               for o, t in zip(ours, theirs))


def _client_id(name, args, redis, leat):
    return name == b"CLIENT" and _sub(args) == b"ID" and redis[0] == leat[0] == b":"


def _later_arity(name, args, redis, leat):
    """Redis 7.2 gave ZRANK and ZREVRANK an option; with it the answer is 7.2's."""
    return (name in (b"ZRANK", b"ZREVRANK") and len(args) == 4 and redis[0] == b"-"
            and b"wrong number of arguments" in redis[1])


def _later_subcommand(name, args, redis, leat):
    later = {b"CLIENT": (b"SETINFO", b"NO-TOUCH")}
    return (_sub(args) in later.get(name, ()) and redis[0] == b"-"
            and redis[1].startswith(b"ERR unknown subcommand"))


def _canonical(reply):
    """Leaves that are fractions or very long integers become numbers; everything else stays as it is."""
    kind, value = reply
    if isinstance(value, (list, tuple)):
        return (kind, sorted((_canonical(item) for item in value), key=repr))
    text = value if isinstance(value, bytes) else str(value).encode()
    if kind in ("$", ",", b"$", b",") and (len(text) > 17 or any(c in text for c in b".eE")):
        try:
            return (kind, float(text))
        except ValueError:
            pass
    return (kind, value)


def _shortest_double(name, args, redis, leat):
    return (name.startswith((b"Z", b"BZ", b"EXEC")) and redis[0] == leat[0] not in (b"-", "-")
            and _canonical(redis) == _canonical(leat))


EXCEPTIONS = [
    Exception_("shortest-double", "since 7.2 scores are written with the fewest digits that read "
               "back as the same number (redis/redis#10587), 7.0 wrote %.17g",
               _shortest_double),
    Exception_("set-listpack", "Redis 7.2 keeps small sets of strings as listpack, 7.0 as hashtable",
               _set_encoding),
    Exception_("hello-version", "the version is leat's, connection ids are counted by each server",
               _hello),
    Exception_("help-text", "help is in our own words", _help),
    Exception_("memory-usage", "how much memory a key takes is each server's own", _memory),
    Exception_("client-line", "addresses, ages and buffer sizes differ; 7.2 shows more fields",
               _client_line),
    Exception_("client-id", "connection ids are counted by each server", _client_id),
    Exception_("rank-withscore", "ZRANK and ZREVRANK have WITHSCORE since 7.2 (tests/written)",
               _later_arity),
    Exception_("later-subcommand", "CLIENT SETINFO and NO-TOUCH came with 7.2 (tests/written)",
               _later_subcommand),
]


def covering(args, redis, leat):
    """The exception that covers this difference, or None."""
    name = bytes(args[0]).upper() if args else b""
    for e in EXCEPTIONS:
        try:
            if e.covers(name, args, redis, leat):
                e.used += 1
                return e
        except (IndexError, TypeError, ValueError, AttributeError):
            continue
    return None
