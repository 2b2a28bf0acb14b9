"""Whether two replies to the same command are the same, as far as Redis promises them to be.

The bytes are compared first. Only where they differ is a command's own rule asked: order does not
count for the commands in `UNORDERED`, clocks may differ by a moment, and `exceptions.py` names what
is different on purpose.
"""

import collections
import re

from support.resp import AGGREGATES


class Skew:
    """How far apart the two servers may have carried out the same step. The clocks in their replies may differ
    by what is usual, or by twice as much as the slowest exchange of the sequence took (once for the step that
    set the clock, once for the one that asks): so a machine that stalls makes no difference, and one that
    does not is held to the usual."""

    def __init__(self):
        self.worst = 0.0

    def saw(self, seconds):
        self.worst = max(self.worst, seconds)

    def forget(self):
        self.worst = 0.0

    def allows(self, a, b, usual, unit_ms=1):
        """Whether two times may be told for the same; `usual` is in their unit."""
        return abs(int(a) - int(b)) * unit_ms <= max(usual * unit_ms, 2000 * self.worst + unit_ms)


SKEW = Skew()

UNORDERED = {b"SMEMBERS", b"SINTER", b"SUNION", b"SDIFF", b"HGETALL", b"HKEYS", b"HVALS", b"KEYS"}
CLOCKS = {b"PTTL": (400, 1), b"PEXPIRETIME": (400, 1), b"TTL": (1, 1000), b"EXPIRETIME": (1, 1000)}  # usual, unit in ms


def freeze(reply):
    """Hashable, order kept."""
    kind, value = reply
    return (kind, tuple(freeze(v) for v in value)) if isinstance(value, list) else (kind, value)


def freeze_unordered(reply, pairs):
    """The same, its own items as a multiset (as pairs where `pairs`)."""
    kind, value = reply
    if not isinstance(value, list):
        return freeze(reply)
    items = [freeze(v) for v in value]
    if pairs or kind == b"%":
        items = [tuple(items[i:i + 2]) for i in range(0, len(items), 2)]
    return kind, frozenset(collections.Counter(items).items())


def shape(reply):
    """What is left of a reply whose values are random: kinds and counts."""
    kind, value = reply
    if kind == b"-":
        return reply
    if isinstance(value, list):
        return kind, tuple(shape(v) for v in value)
    return kind, value is None


def both_integers(a, b):
    try:
        return a[0] == b[0] == b":" and (int(a[1]), int(b[1]))
    except ValueError:
        return False


def same_moment(a, b):
    """Two ids that the clock gave."""
    ids = [re.fullmatch(rb"([0-9]{13})-0", reply[1] or b"") for reply in (a, b)]
    return all(ids) and SKEW.allows(ids[0].group(1), ids[1].group(1), 2000)


def command_entry(entry):
    """Name, arity, flags, key positions and categories; flags and categories in any order. Hints,
    key specifications and subcommands are left to the written tests."""
    if not isinstance(entry[1], list):
        return entry
    fields = entry[1]
    return [freeze_unordered(f, False) if isinstance(f[1], list) else f for f in fields[:7]]


def same_event_frames(a, b):
    """Frames of one step on a subscriber. Which of several matching patterns comes first, and in
    what order a bare UNSUBSCRIBE goes, is Redis's hash order; the counts must still fall in turn."""
    if len(a) != len(b):
        return False

    def split(frames):
        counts, rest = [], []
        for raw, reply in frames:
            value = reply[1]
            if isinstance(value, list) and len(value) == 3 and value[0][1] in (
                    b"unsubscribe", b"punsubscribe", b"sunsubscribe"):
                counts.append((value[0][1], value[2]))
                rest.append((reply[0], value[0], value[1]))
            else:
                rest.append(raw)
        return counts, collections.Counter(map(repr, rest))
    return split(a) == split(b)


IDLE_MS = 400


def is_pending(entry):
    """Of XPENDING's long form: id, consumer, idle time, deliveries."""
    return isinstance(entry[1], list) and len(entry[1]) == 4 and entry[1][2][0] == b":"


def without_idle(reply):
    kind, value = reply
    if not isinstance(value, list):
        return reply
    return kind, [(e[0], e[1][:2] + e[1][3:]) if is_pending(e) else e for e in value]


def same_idle(a, b):
    return all(SKEW.allows(x[1][2][1], y[1][2][1], IDLE_MS) for x, y in zip(a[1], b[1]) if is_pending(x))


def same_but_times(a, b):
    """Of XINFO: times since 1970, and idle times behind their name, may differ by a moment."""
    if a[0] != b[0]:
        return False
    if not isinstance(a[1], list) or not isinstance(b[1], list):
        return a == b or (a[0] == b":" and int(a[1]) > 10**12 and SKEW.allows(a[1], b[1], IDLE_MS))
    if len(a[1]) != len(b[1]):
        return False
    idle = {i + 1 for i, e in enumerate(a[1][:-1]) if e == (b"$", b"idle")}
    return all(SKEW.allows(x[1], y[1], IDLE_MS) if i in idle else same_but_times(x, y)
               for i, (x, y) in enumerate(zip(a[1], b[1])))


def same_reply(args, a, b):
    """`args` as sent; a and b are (bytes, reply). True when they are the same."""
    if a[0] == b[0]:
        return True
    name = bytes(args[0]).upper() if args else b""
    return same_meaning(name, args, a[1], b[1])


def same_meaning(name, args, a, b):
    if a == b:
        return True
    if a[0] != b[0]:
        return False
    if name in UNORDERED and a[0] in AGGREGATES and b[0] in AGGREGATES:
        pairs = name == b"HGETALL"
        return freeze_unordered(a, pairs) == freeze_unordered(b, pairs)
    if name in CLOCKS:
        numbers = both_integers(a, b)
        if numbers and numbers[0] >= 0 and numbers[1] >= 0:
            return SKEW.allows(*numbers, *CLOCKS[name])
    if name == b"OBJECT" and len(args) > 1 and bytes(args[1]).upper() == b"IDLETIME":
        numbers = both_integers(a, b)
        return bool(numbers) and SKEW.allows(*numbers, 2, 1000)
    if name == b"COMMAND" and len(args) > 1 and bytes(args[1]).upper() == b"INFO":
        return isinstance(a[1], list) and isinstance(b[1], list) and (
            [command_entry(e) for e in a[1]] == [command_entry(e) for e in b[1]])
    if name == b"XINFO":
        return same_but_times(a, b)
    if name == b"XADD":
        return same_moment(a, b)
    if name == b"XPENDING":
        return freeze(without_idle(a)) == freeze(without_idle(b)) and same_idle(a, b)
    if name == b"TIME":
        return shape(a) == shape(b)
    return False


def same_exec(queued, a, b, alike):
    """EXEC: element by element, each by the rule of its command; `alike` as in (args, reply, reply)."""
    if a[0] == b[0]:
        return True
    x, y = a[1], b[1]
    if x[0] != y[0] or not isinstance(x[1], list) or not isinstance(y[1], list):
        return False
    if not len(x[1]) == len(y[1]) == len(queued):
        return False
    return all(alike(q, m, n) for q, m, n in zip(queued, x[1], y[1]))
