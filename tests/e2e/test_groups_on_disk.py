"""Groups of a stream that is mostly on disk, against a model; then the server is killed, and everything is there."""

import random

from support.resp import Connection, encode, texts
from support.servers import Leat

ENTRIES, STEPS = 40000, 250


class Model:
    def __init__(self, conn, rng):
        self.c, self.rng = conn, rng
        self.ids = ["%d-%d" % (n // 3 + 1, n % 3) for n in range(ENTRIES)]
        self.number = {x: n for n, x in enumerate(self.ids)}
        self.pending, self.deleted, self.at = {}, set(), 0

    def fill(self):
        for begin in range(0, ENTRIES, 500):
            part = range(begin, begin + 500)
            self.c.send(b"".join(encode(["XADD", "s", self.ids[n], "n", str(n), "data", "x" * 100]) for n in part))
            for _ in part:
                self.c.read()
        self.c.call("XGROUP", "CREATE", "s", "g", "0")

    def in_order(self, ids):
        return sorted(ids, key=self.number.get)

    def check(self, entries, expected):
        assert [e[0].decode() for e in entries] == expected
        assert all(int(e[1][1]) == self.number[e[0].decode()] for e in entries if e[1] is not None)

    def some_pending(self, count):
        return self.rng.sample(sorted(self.pending), min(len(self.pending), count))

    def delivered(self, entry, who):
        self.pending[entry] = (who, self.pending.get(entry, (who, 0))[1] + 1)

    def read(self, who):
        count = self.rng.randint(1, 800)
        expected = [x for x in self.ids[self.at:self.at + 2 * count + 50] if x not in self.deleted][:count]
        reply = texts(self.c.call("XREADGROUP", "GROUP", "g", who, "COUNT", str(count), "STREAMS", "s", ">"))
        self.check(reply[0][1] if reply else [], expected)
        for entry in expected:
            self.pending[entry] = (who, 1)
            self.at = self.number[entry] + 1

    def history(self, who):
        mine = self.in_order(x for x, (owner, _) in self.pending.items() if owner == who)[:300]
        reply = texts(self.c.call("XREADGROUP", "GROUP", "g", who, "COUNT", "300", "STREAMS", "s", "0"))
        self.check(reply[0][1], mine)
        assert [e[1] is None for e in reply[0][1]] == [x in self.deleted for x in mine]
        for entry in set(mine) - self.deleted:
            self.delivered(entry, who)

    def acknowledge(self, who):
        some = self.some_pending(60)
        assert not some or texts(self.c.call("XACK", "s", "g", *some)) == len(some)
        for entry in some:
            del self.pending[entry]

    def claimed(self, entries, who):
        for entry in entries:
            if entry in self.deleted:
                del self.pending[entry]
            else:
                self.delivered(entry, who)

    def claim(self, who):
        some = self.some_pending(20)
        if some:
            self.check(texts(self.c.call("XCLAIM", "s", "g", who, "0", *some)), [x for x in some if x not in self.deleted])
            self.claimed(some, who)

    def autoclaim(self, who):
        start = self.rng.choice(self.ids)
        found = self.in_order(x for x in self.pending if self.number[x] >= self.number[start])[:100]
        reply = texts(self.c.call("XAUTOCLAIM", "s", "g", who, "0", start, "COUNT", "100"))
        self.check(reply[1], [x for x in found if x not in self.deleted])
        assert [x.decode() for x in reply[2]] == [x for x in found if x in self.deleted]
        self.claimed(found, who)

    def delete(self, who):
        some = self.rng.sample(self.ids, 5)
        assert texts(self.c.call("XDEL", "s", *some)) == len(set(some) - self.deleted)
        self.deleted |= set(some)

    def step(self):
        way = self.rng.choice([self.read, self.read, self.read, self.acknowledge, self.acknowledge, self.claim, self.history,
                               self.autoclaim, self.delete])
        way("c%d" % self.rng.randint(0, 3))

    def check_all(self):
        told = texts(self.c.call("XINFO", "GROUPS", "s"))[0]
        told = dict(zip(told[::2], told[1::2]))
        assert told[b"lag"] == len([x for x in self.ids[self.at:] if x not in self.deleted])
        assert told[b"pending"] == len(self.pending)
        listed = texts(self.c.call("XPENDING", "s", "g", "-", "+", str(ENTRIES)))
        assert [(e[0].decode(), e[1].decode(), e[3]) for e in listed] == [
            (x,) + self.pending[x] for x in self.in_order(self.pending)]


def test_groups_of_a_stream_on_disk():
    with Leat() as server:
        server.start("--stream-memory", "1mb")
        model = Model(Connection(server.port, timeout=60), random.Random(5))
        model.fill()
        for step in range(STEPS):
            model.step()
            if step % 50 == 0:
                model.check_all()
            if step == STEPS // 2:
                model.c.call("BGSAVE")
        model.check_all()
        server.kill()
        server.start("--stream-memory", "1mb")
        model.c = Connection(server.port, timeout=60)
        model.check_all()
        for _ in range(STEPS // 5):
            model.step()
        model.check_all()
