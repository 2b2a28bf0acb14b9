"""Commands whose reply is random or a cursor: they are checked by what they promise, against the
state just before, on each server by itself; what can be compared of the two is returned.

Each function takes (connection, args) and returns something comparable, or raises Broken.
After SPOP the key is deleted, so that both servers are in the same state again.
"""

from compare import shape
from support.resp import AGGREGATES, encode

ROUNDS_MAX = 5000


class Broken(Exception):
    """A promise was not kept."""


def flat(reply):
    """All strings of a reply, nested or not."""
    kind, value = reply
    if value is None or kind == b"_":
        return []
    if kind in AGGREGATES:
        return [text for item in value for text in flat(item)]
    return [value]


def pairs(items):
    return list(zip(items[::2], items[1::2]))


def check_draw(reply, count, members, what):
    """`members`: everything that may be drawn; `count` None for a single draw."""
    drawn = flat(reply)
    for item in drawn:
        if item not in members:
            raise Broken("%s returned %r, which is not there" % (what, item))
    if count is None:
        if len(drawn) != (1 if members else 0):
            raise Broken("%s returned %d of %d members" % (what, len(drawn), len(members)))
    elif count >= 0:
        if len(set(drawn)) != len(drawn) or len(drawn) != min(count, len(members)):
            raise Broken("%s %d returned %r of %d members" % (what, count, drawn, len(members)))
    elif len(drawn) != (-count if members else 0):
        raise Broken("%s %d returned %d items" % (what, count, len(drawn)))


def count_of(args, at):
    return int(args[at]) if len(args) > at else None


def draw_members(conn, args, lister):
    before = conn.call(lister, args[1]) if len(args) > 1 else (b"*", [])
    reply = conn.call(*args)
    if reply[0] != b"-":
        check_draw(reply, count_of(args, 2), set(flat(before)), repr(args[0]))
    return shape(reply)


def srandmember(conn, args):
    return draw_members(conn, args, b"SMEMBERS")


def spop(conn, args):
    key = args[1:2]
    before = conn.call(b"SMEMBERS", *key) if key else (b"*", [])
    reply = conn.call(*args)
    if reply[0] != b"-":
        check_draw(reply, count_of(args, 2), set(flat(before)), "SPOP")
        after = conn.call(b"SMEMBERS", *key)
        if set(flat(after)) != set(flat(before)) - set(flat(reply)):
            raise Broken("SPOP left %r of %r after %r" % (flat(after), flat(before), flat(reply)))
        left = conn.call(b"EXISTS", *key)
        conn.call(b"DEL", *key)
        return shape(reply), left
    return shape(reply)


def draw_pairs(conn, args, everything, option):
    """HRANDFIELD and ZRANDMEMBER: `everything` lists all pairs, `option` asks for them."""
    all_pairs = pairs(flat(conn.call(*everything))) if len(args) > 1 else []
    reply = conn.call(*args)
    if reply[0] == b"-":
        return reply
    if len(args) > 3 and bytes(args[3]).upper() == option:
        drawn = pairs(flat(reply))
        for pair in drawn:
            if pair not in all_pairs:
                raise Broken("%r returned the pair %r, which is not there" % (args[0], pair))
        reply_names = (b"*", [(b"$", name) for name, _ in drawn])
    else:
        reply_names = reply
    check_draw(reply_names, count_of(args, 2), {name for name, _ in all_pairs}, repr(args[0]))
    return shape(reply)


def hrandfield(conn, args):
    return draw_pairs(conn, args, [b"HGETALL"] + args[1:2], b"WITHVALUES")


def zrandmember(conn, args):
    return draw_pairs(conn, args, [b"ZRANGE"] + args[1:2] + [b"0", b"-1", b"WITHSCORES"],
                      b"WITHSCORES")


def randomkey(conn, args):
    keys = flat(conn.call(b"KEYS", b"*"))
    reply = conn.call(*args)
    if reply[0] != b"-":
        check_draw(reply, None, set(keys), "RANDOMKEY")
    return shape(reply)


def scan(conn, args):
    """From cursor 0 to the end, with the same options; what came at least once is the result."""
    at = 1 if bytes(args[0]).upper() == b"SCAN" else 2
    width = 2 if bytes(args[0]).upper() in (b"HSCAN", b"ZSCAN") else 1
    if len(args) <= at or bytes(args[at]) != b"0":
        reply = conn.call(*args)
        return reply if reply[0] == b"-" else len(reply[1])
    seen, args = set(), list(args)
    for _ in range(ROUNDS_MAX):
        reply = conn.call(*args)
        if reply[0] == b"-":
            return reply
        if reply[0] != b"*" or len(reply[1]) != 2 or reply[1][1][0] != b"*":
            raise Broken("%r is not the reply of a scan" % (reply,))
        items = flat(reply[1][1])
        if bytes(args[0]).upper() == b"ZSCAN":  # how many digits a score has is not what is asked here
            items = [float(item) if at_ % 2 else item for at_, item in enumerate(items)]
        seen.update(pairs(items) if width == 2 else items)
        args[at] = reply[1][0][1]
        if args[at] == b"0":
            return frozenset(seen)
    raise Broken("%r did not end" % (args[0],))


BY_NAME = {
    b"SPOP": spop, b"SRANDMEMBER": srandmember, b"HRANDFIELD": hrandfield, b"ZRANDMEMBER": zrandmember,
    b"RANDOMKEY": randomkey, b"SCAN": scan, b"SSCAN": scan, b"HSCAN": scan, b"ZSCAN": scan,
}


def run(conn, args):
    """(outcome, broken promise or None)."""
    try:
        return BY_NAME[bytes(args[0]).upper()](conn, args), None
    except Broken as e:
        return None, str(e)
