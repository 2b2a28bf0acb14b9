"""Where leat answers differently from Redis 7.0 on purpose. Each has a name, a reason, and a
predicate over (command name, arguments, redis's reply, leat's reply) that is as narrow as it can be.
A difference that no predicate covers is a failure; run.py prints how often each was used."""

import re

from compare import SKEW
from support import resp


class Exception_:
    def __init__(self, name, reason, covers):
        self.name, self.reason, self.covers = name, reason, covers
        self.used = 0


def _sub(args):
    return bytes(args[1]).upper() if len(args) > 1 else b""


def _set_encoding(name, args, redis, leat):
    return (name == b"OBJECT" and _sub(args) == b"ENCODING"
            and redis == (b"$", b"hashtable") and leat == (b"$", b"listpack"))


def _list_encoding(name, args, redis, leat):
    return (name == b"OBJECT" and _sub(args) == b"ENCODING"
            and redis == (b"$", b"quicklist") and leat == (b"$", b"listpack"))


def _lpos_rank(name, args, redis, leat):
    return (name == b"LPOS" and b"-9223372036854775808" in args[3:] and leat[0] == b"-"
            and leat[1].startswith(b"ERR value is out of range, value must between"))


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


def _refcount(name, args, redis, leat):
    return (name == b"OBJECT" and _sub(args) == b"REFCOUNT" and redis[0] == leat[0] == b":"
            and int(redis[1]) > 1 and int(leat[1]) == 1)


def _memory(name, args, redis, leat):
    return (name == b"MEMORY" and _sub(args) == b"USAGE" and redis[0] == leat[0] == b":"
            and int(leat[1]) > 0)


def _client_line(name, args, redis, leat):
    """The fields Redis 7.0 shows are all there, under the same names, and those that a test can
    know have the same values."""
    if name != b"CLIENT" or _sub(args) not in (b"LIST", b"INFO") or redis[0] != leat[0]:
        return False
    known = ("name", "db", "sub", "psub", "ssub", "multi", "resp", "user", "cmd")

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


def _later_subcommand(name, args, redis, leat):
    later = {b"CLIENT": (b"SETINFO", b"NO-TOUCH")}
    return (_sub(args) in later.get(name, ()) and redis[0] == b"-"
            and redis[1].startswith(b"ERR unknown subcommand"))


def _same_number(redis, leat):
    """Two spellings of one number, of which leat's is no longer."""
    try:
        return (len(leat) <= max(len(redis), 21) and float(redis) == float(leat)
                and (redis[:1] == b"-") == (leat[:1] == b"-"))
    except ValueError:
        return False


def _same_but_digits(redis, leat):
    if redis == leat:
        return True
    (kind, theirs), (other, ours) = redis, leat
    if kind != other or theirs is None or ours is None:
        return False
    if isinstance(theirs, list):
        return len(theirs) == len(ours) and all(map(_same_but_digits, theirs, ours))
    return kind in (b"$", b",") and _same_number(theirs, ours)


def _shortest_double(name, args, redis, leat):
    return name.startswith((b"Z", b"BZ")) and _same_but_digits(redis, leat)


# Command -> what 7.2 changed about it: (field of COMMAND INFO, 7.0's, 7.2's).
LATER_INFO = {
    b"zrank": [("arity", b"3", b"-3")],
    b"zrevrank": [("arity", b"3", b"-3")],
    b"publish": [("flags", None, b"may_replicate")],
    b"spublish": [("flags", None, b"may_replicate")],
    b"wait": [("flags", b"noscript", b"blocking"), ("categories", None, b"@blocking")],
}


def _command_info(name, args, redis, leat):
    """What 7.2 changed, and nothing else."""
    if name != b"COMMAND" or _sub(args) != b"INFO" or redis[0] != leat[0] or len(redis[1]) != len(leat[1]):
        return False
    for theirs, ours in zip(redis[1], leat[1]):
        if theirs[1] is None or ours[1] is None:
            if theirs != ours:
                return False
            continue
        changed = LATER_INFO.get(theirs[1][0][1], [])
        for at, field in enumerate(("name", "arity", "flags", "first", "last", "step", "categories")):
            want, got = theirs[1][at][1], ours[1][at][1]
            if isinstance(want, list):
                want, got = ({item[1] for item in side} for side in (want, got))
            for where, old, new in changed:
                if where == field:
                    want = want - {old} | {new} if isinstance(want, set) else new
            if want != got:
                return False
    return True


def _getkeys_arity(name, args, redis, leat):
    """COMMAND GETKEYS of a command without arguments: an error either way; or with one that 7.2 added."""
    if name == b"COMMAND" and len(args) == 6 and bytes(args[2]).upper() in (b"ZRANK", b"ZREVRANK"):
        return redis[0] == b"-" and b"Invalid number of arguments" in redis[1]
    return (name == b"COMMAND" and _sub(args) in (b"GETKEYS", b"GETKEYSANDFLAGS") and len(args) == 3
            and redis[0] == b"-" and b"wrong number of arguments for 'command|getkeys" in redis[1])


def _getkeys_count(name, args, redis, leat):
    """Redis reads the number of keys here as atoi does, though the command itself would refuse it."""
    def is_number(arg):
        text = bytes(arg)
        return text.isdigit() and (text == b"0" or not text.startswith(b"0"))
    return (name == b"COMMAND" and _sub(args) in (b"GETKEYS", b"GETKEYSANDFLAGS") and redis[0] in (b"*", b"-")
            and leat == (b"-", b"ERR Invalid arguments specified for command")
            and not any(is_number(a) for a in args[3:5]))


def _notify_new(name, args, redis, leat):
    """CONFIG GET notify-keyspace-events of `KEAn`: 7.0 keeps the n to itself."""
    if name != b"CONFIG" or _sub(args) != b"GET" or redis[0] != leat[0] or len(redis[1]) != 2:
        return False
    (key, theirs), (same, ours) = redis[1], leat[1]
    return (key == same == (b"$", b"notify-keyspace-events") and b"n" in ours[1] and b"n" not in theirs[1]
            and ours[1].replace(b"n", b"") == theirs[1])


def _config_number(name, args, redis, leat):
    """7.0 takes an empty string for the number 0."""
    return (name == b"CONFIG" and _sub(args) == b"SET" and bytes(args[3]) == b"" and redis == (b"+", b"OK")
            and leat[0] == b"-" and leat[1].startswith(b"ERR CONFIG SET failed"))


def _hello_noauth(name, args, redis, leat):
    return (name == b"HELLO" and redis[0] == leat[0] == b"-"
            and redis[1].replace(b"HELLO AUTH", b"HELLO <proto> AUTH") == leat[1])


# What XINFO STREAM says beside Redis 7.0's fields, at its end.
XINFO_OWN = {b"bytes-in-memory", b"bytes-on-disk", b"retention", b"retention-age-ms", b"retention-bytes",
             b"retention-until-acked"}


def _xinfo_stream(name, args, redis, leat):
    """All of Redis's fields, with its values but for those of its radix tree; leat's own behind them."""
    if name != b"XINFO" or _sub(args) != b"STREAM" or redis[0] != leat[0] or len(leat[1]) <= len(redis[1]):
        return False
    def pairs(reply):
        return list(zip(reply[1][::2], reply[1][1::2]))
    theirs, ours = pairs(redis), pairs(leat)
    return ({k[1] for k, _ in ours[len(theirs):]} <= XINFO_OWN and all(
        m == n or (k == m_key and k[1].startswith(b"radix-tree-"))
        for (k, m), (m_key, n) in zip(theirs, ours)))


def _without(reply, added):
    """The pairs of a reply of pairs, and those of the last ones that Redis 7.0 does not know."""
    pairs = [(k[1], v) for k, v in zip(reply[1][::2], reply[1][1::2])]
    return [p for p in pairs if p[0] not in added], [p for p in pairs if p[0] in added]


CLOCK_MS = 400
LAG = (b"entries-read", b"lag")
ADDED = {b"inactive", b"active-time"} | XINFO_OWN


def _is_count(reply):
    return reply[0] == b":" and int(reply[1]) >= 0


def _same_told(redis, leat):
    """XINFO of groups and consumers: the same but for times, which may differ by a moment, lags, which are
    always numbers here, and fields that came later. Since 7.2 who asks in vain counts as seen (redis/redis#11099)."""
    if redis[0] != leat[0]:
        return False
    if not isinstance(redis[1], list) or not isinstance(leat[1], list):
        return redis == leat or (redis[0] == b":" and SKEW.allows(redis[1], leat[1], CLOCK_MS) and int(redis[1]) > 10**12)
    if not (redis[1] and redis[1][0][0] == b"$" and redis[1][0][1] in (b"name", b"length")):
        return len(redis[1]) == len(leat[1]) and all(map(_same_told, redis[1], leat[1]))
    ours, added = _without(leat, ADDED)
    theirs, _ = _without(redis, ())
    return len(theirs) == len(ours) and all(a == b for (a, _), (b, _) in zip(theirs, ours)) and all(
        _is_count(n) if k in LAG else k.startswith(b"radix-tree-") or _same_told(m, n)
        or (k == b"idle" and int(n[1]) >= 0 and (int(n[1]) <= int(m[1]) or SKEW.allows(m[1], n[1], CLOCK_MS)))
        or (k == b"seen-time" and (int(n[1]) >= int(m[1]) or SKEW.allows(m[1], n[1], CLOCK_MS)))
        for (k, m), (_, n) in zip(theirs, ours)) and all(v[0] == (b"$" if k == b"retention" else b":") for k, v in added)


def _xinfo_groups(name, args, redis, leat):
    return (name == b"XINFO" and (_sub(args) in (b"GROUPS", b"CONSUMERS")
                                  or _sub(args) == b"STREAM" and len(args) > 3 and bytes(args[3]).upper() == b"FULL")
            and _same_told(redis, leat))


def _xread_words(name, args, redis, leat):
    if name == b"XREADGROUP" and redis[0] == leat[0] == b"-":
        return leat[1] == redis[1].replace(b"Unbalanced XREAD list", b"Unbalanced 'xreadgroup' list")
    return (name == b"XREAD" and redis[0] == leat[0] == b"-" and redis[1].startswith(b"ERR Unbalanced XREAD list")
            and leat[1] == redis[1].replace(b"XREAD", b"'xread'"))


def _config_fixed(name, args, redis, leat):
    """What leat lets nobody set while it runs, refused with its own reason."""
    return (name == b"CONFIG" and _sub(args) == b"SET" and redis[0] == leat[0] == b"-"
            and bytes(args[2]).lower() in (b"port", b"maxmemory-policy")
            and leat[1].startswith(b"ERR CONFIG SET failed (possibly related to argument '%s') - " % args[2]))


EXCEPTIONS = [
    Exception_("shortest-double", "since 7.2 scores are written with the fewest digits that read "
               "back as the same number (redis/redis#10587), 7.0 wrote %.17g",
               _shortest_double),
    Exception_("set-listpack", "Redis 7.2 keeps small sets of strings as listpack, 7.0 as hashtable",
               _set_encoding),
    Exception_("list-listpack", "Redis 7.2 keeps small lists as listpack (redis/redis#11303), 7.0 as quicklist",
               _list_encoding),
    Exception_("lpos-rank", "the least of all ranks cannot be turned round: since 7.2 an error (redis/redis#12167)",
               _lpos_rank),
    Exception_("hello-version", "the version is leat's, connection ids are counted by each server",
               _hello),
    Exception_("help-text", "help is in our own words", _help),
    Exception_("refcount", "Redis shares the objects of small integers; leat shares no values", _refcount),
    Exception_("memory-usage", "how much memory a key takes is each server's own", _memory),
    Exception_("client-line", "addresses, ages and buffer sizes differ; 7.2 shows more fields",
               _client_line),
    Exception_("client-id", "connection ids are counted by each server", _client_id),
    Exception_("command-info", "7.2 changed the arity or flags of a few commands (LATER_INFO)", _command_info),
    Exception_("getkeys-arity", "since 7.2 COMMAND GETKEYS takes a command without arguments", _getkeys_arity),
    Exception_("getkeys-count", "a number of keys that is none is refused here as by the command itself",
               _getkeys_count),
    Exception_("notify-new", "7.0 does not show the event class n beside A, 7.2 does", _notify_new),
    Exception_("config-number", "an empty string is no number", _config_number),
    Exception_("hello-noauth", "7.2 words the advice differently", _hello_noauth),
    Exception_("config-fixed", "these settings are fixed at the start, or have but one value", _config_fixed),
    Exception_("xinfo-stream", "leat has blocks where Redis has a radix tree, and says more", _xinfo_stream),
    Exception_("xinfo-groups", "lags and what was read are always exact numbers; times may differ by a moment; 7.2 tells when "
               "a consumer was active", _xinfo_groups),
    Exception_("xread-words", "since 7.2 the error names the command (redis/redis#12238)", _xread_words),
    Exception_("later-subcommand", "CLIENT SETINFO and NO-TOUCH came with 7.2 (tests/written)",
               _later_subcommand),
]


HTTP_VERBS = Exception_("http-verbs", "every HTTP verb that is no command ends the connection, not POST and Host: "
                        "alone", None)
VERBS = re.compile(rb"(?:^|\n)\s*(?:HEAD|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH)\s", re.I)


HTTP_RACE = Exception_("http-race", "an HTTP request ends the connection at once; whether replies to what came before it "
                       "still leave depends on how the bytes were read", None)
ABORTS = re.compile(rb"(?:^|\n)\s*(?:POST|Host:)", re.I)


def covering_bytes(data, redis, leat):
    """The same for raw bytes; redis and leat are (frames, how it ended)."""
    (theirs, their_end), (ours, ended) = redis, leat
    few, many = sorted((theirs, ours), key=len)
    if ABORTS.search(data) and their_end == ended == "closed" and many[:len(few)] == few:
        HTTP_RACE.used += 1
        return HTTP_RACE
    if VERBS.search(data) and ended == "closed" and theirs[:len(ours)] == ours and len(theirs) > len(ours):
        HTTP_VERBS.used += 1
        return HTTP_VERBS
    return None


PUSH_AFTER_REPLY = Exception_("push-after-reply", "who subscribes and publishes gets the push behind the reply, as "
                              "since 7.2; 7.0 puts it before or even into the reply", None)


def _pushes_aside(frames):
    data, at, replies, pushes = b"".join(raw for raw, _ in frames), 0, [], []
    while at < len(data):
        reply, at = resp.parse(data, at, pushes)
        (pushes if reply[0] == b">" else replies).append(reply)
    return replies, sorted(map(repr, pushes))  # which of several patterns comes first is Redis's hash order


def covering_frames(redis, leat):
    """The same for all frames of a step."""
    try:
        if _pushes_aside(redis) != _pushes_aside(leat):
            return None
    except (resp.Incomplete, resp.Malformed):
        return None
    PUSH_AFTER_REPLY.used += 1
    return PUSH_AFTER_REPLY


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
