"""Connection and client state: HELLO, AUTH, SELECT, RESET, CLIENT, QUIT."""

from families import command, hello
from steps import Step
from support.resp import encode, to_bytes


def token(conn, *args):
    return Step("token", conn, [to_bytes(a) for a in args])


COMMANDS = [
    ["PING"], ["PING", "hello"], ["PING", "a", "b"], ["ping", ""], ["ECHO", "x"], ["ECHO"], ["ECHO", "a", "b"],
    ["SELECT", "1"], ["SELECT", "0"], ["SELECT", "16"], ["SELECT", "-1"], ["SELECT", "x"], ["SELECT"],
    ["HELLO"], ["HELLO", "2"], ["HELLO", "3"], ["HELLO", "4"], ["HELLO", "1"], ["HELLO", "abc"], ["HELLO", ""],
    ["HELLO", "3", "SETNAME", "me"], ["HELLO", "2", "SETNAME", "a b"], ["HELLO", "3", "SETNAME"],
    ["HELLO", "3", "AUTH", "default", ""], ["HELLO", "3", "AUTH", "default"], ["HELLO", "3", "AUTH", "x", "y"],
    ["HELLO", "3", "NIX"], ["HELLO", "2", "AUTH", "default", "pw", "SETNAME", "n"], ["HELLO", "3", "setname", "low"],
    ["AUTH", "x"], ["AUTH", "default", "x"], ["AUTH", "nobody", "x"], ["AUTH"], ["AUTH", "a", "b", "c"],
    ["AUTH", ""], ["RESET"], ["RESET", "x"],
    ["CLIENT", "SETNAME", "conn"], ["CLIENT", "SETNAME", ""], ["CLIENT", "SETNAME", "with space"],
    ["CLIENT", "SETNAME", "new\nline"], ["CLIENT", "SETNAME"], ["CLIENT", "GETNAME"], ["CLIENT", "GETNAME", "x"],
    ["CLIENT", "ID"], ["CLIENT", "ID", "x"], ["CLIENT", "INFO"], ["CLIENT"], ["CLIENT", "NOSUCH"], ["CLIENT", "HELP"],
    ["CLIENT", "LIST", "TYPE", "nix"], ["CLIENT", "LIST", "TYPE"], ["CLIENT", "LIST", "ID", "x"],
    ["CLIENT", "LIST", "ID", "999999"], ["CLIENT", "LIST", "TYPE", "master"], ["CLIENT", "LIST", "NIX"],
    ["CLIENT", "LIST", "TYPE", "pubsub"], ["CLIENT", "LIST", "ID"],
    ["CLIENT", "KILL", "127.0.0.1:1"], ["CLIENT", "KILL", "ID", "999999"], ["CLIENT", "KILL", "ID", "x"],
    ["CLIENT", "KILL", "NIX", "1"], ["CLIENT", "KILL"], ["CLIENT", "KILL", "TYPE", "nix"],
    ["CLIENT", "KILL", "USER", "nobody"], ["CLIENT", "KILL", "ADDR", "1.2.3.4:5"], ["CLIENT", "KILL", "SKIPME", "x"],
    ["CLIENT", "KILL", "LADDR", "1.2.3.4:5", "SKIPME", "no"], ["CLIENT", "KILL", "ID", "0"],
    ["CLIENT", "UNBLOCK", "999999"], ["CLIENT", "UNBLOCK", "x"], ["CLIENT", "UNBLOCK", "1", "NIX"],
    ["CLIENT", "UNBLOCK", "999999", "ERROR"], ["CLIENT", "UNBLOCK"], ["CLIENT", "UNBLOCK", "999999", "TIMEOUT"],
    ["CLIENT", "PAUSE", "x"], ["CLIENT", "PAUSE", "-1"], ["CLIENT", "PAUSE", "1", "NIX"], ["CLIENT", "PAUSE"],
    ["CLIENT", "PAUSE", "1", "WRITE"], ["CLIENT", "PAUSE", "1"], ["CLIENT", "UNPAUSE"], ["CLIENT", "UNPAUSE", "x"],
    ["CLIENT", "REPLY"], ["CLIENT", "REPLY", "NIX"], ["CLIENT", "REPLY", "ON"],
    ["CLIENT", "NO-EVICT", "ON"], ["CLIENT", "NO-EVICT", "OFF"], ["CLIENT", "NO-EVICT", "X"], ["CLIENT", "NO-EVICT"],
    ["CLIENT", "SETNAME", "\u00e9"], ["CLIENT", "SETNAME", "a" * 100], ["client", "setname", "lower"],
    ["COMMAND", "COUNT", "x"], ["COMMAND", "NIX"], ["COMMAND", "GETKEYS"], ["COMMAND", "INFO", "nosuch"],
    ["DBSIZE"], ["DBSIZE", "x"], ["TIME"], ["TIME", "x"], ["LOLWUT2"], ["nosuchcommand"], ["nosuch", "a", "b", "c"],
    ["nosuch"] + ["x" * 50] * 5, ["no\r\nsuch", "a\r\nb"], ["", "x"], ["x" * 200, "y" * 200], ["GET"], ["SET", "a"],
    ["CONFIG"], ["CONFIG", "NIX"], ["CONFIG", "GET"], ["CONFIG", "SET", "maxmemory-policy", "nix"],
    ["CONFIG", "SET", "nosuchsetting", "1"], ["CONFIG", "GET", "nosuchsetting"], ["CONFIG", "SET", "a"],
    ["CONFIG", "RESETSTAT"], ["CONFIG", "RESETSTAT", "x"], ["CONFIG", "GET", "maxmemory-policy"],
    ["CONFIG", "SET", "maxmemory", "x"], ["CONFIG", "GET", "notify-keyspace-events"], ["CONFIG", "GET", "databases"],
    ["CONFIG", "SET", "port", "abc"], ["SLOWLOG"], ["SLOWLOG", "LEN", "x"], ["SLOWLOG", "NIX"], ["SLOWLOG", "RESET"],
    ["SLOWLOG", "GET", "x"], ["SLOWLOG", "GET", "-2"], ["MEMORY"], ["MEMORY", "NIX"], ["MEMORY", "USAGE"],
    ["MEMORY", "USAGE", "nokey"], ["MEMORY", "USAGE", "nokey", "SAMPLES", "x"], ["MEMORY", "USAGE", "k", "SAMPLES"],
    ["OBJECT"], ["OBJECT", "NIX"], ["OBJECT", "NIX", "k"], ["OBJECT", "ENCODING"], ["OBJECT", "HELP"],
    ["PUBSUB"], ["PUBSUB", "NIX"], ["PUBSUB", "CHANNELS"], ["PUBSUB", "NUMSUB"], ["PUBSUB", "NUMPAT"],
    ["PUBSUB", "NUMPAT", "x"], ["SWAPDB", "a", "b"], ["SWAPDB", "0", "b"], ["SWAPDB", "0", "99"], ["SWAPDB", "0"],
    ["FLUSHALL", "NIX"], ["FLUSHDB", "ASYNC", "x"], ["FLUSHALL", "SYNC"],
]


def sequence(gen, length):
    steps = []
    for _ in range(length // 2):
        steps.append(token(gen.pick([0, 0, 1]), *gen.pick(COMMANDS)))
        if gen.chance(0.02):
            steps.append(token(gen.pick([0, 1]), "QUIT"))
            steps.append(Step("open", steps[-1].conn, []))
    return steps


def replies_off(gen, length):
    """CLIENT REPLY OFF and SKIP; several commands in one write."""
    steps = hello(gen)
    for _ in range(length // 12):
        data, off = b"", False
        for _ in range(gen.rng.randint(1, 8)):
            choice = gen.pick([["CLIENT", "REPLY", "OFF"], ["CLIENT", "REPLY", "SKIP"], ["CLIENT", "REPLY", "ON"],
                               ["SET", "s1", "x"], ["GET", "s1"], ["INCR", "s1"], ["NOSUCH"], ["ECHO", "hi"],
                               ["EXEC"], ["DISCARD"]])
            data += encode(choice)
        steps.append(Step("raw", 0, [data + encode(["DISCARD"]) + encode(["CLIENT", "REPLY", "ON"])]))
    return steps


def password(gen, length):
    """A server with a password: what a stranger may do, and how one gets in."""
    steps = [token(0, "CONFIG", "SET", "requirepass", "secret"), Step("open", 1, [])]
    for _ in range(length // 6):
        steps.append(command(1, *gen.pick([
            ["PING"], ["GET", "s1"], ["HELLO"], ["HELLO", "2"], ["HELLO", "3"], ["AUTH", "wrong"], ["AUTH", "default", "wrong"],
            ["AUTH", "nobody", "secret"], ["HELLO", "3", "AUTH", "default", "wrong"], ["nosuch"], ["GET"],
            ["SUBSCRIBE", "a"], ["CLIENT", "ID"], ["COMMAND", "COUNT", "x"], ["MULTI", "x"], ["RESET"], ["SET", "a"],
            ["HELLO", "3", "AUTH", "default", "secret", "SETNAME", "x"], ["AUTH", "secret"],
            ["AUTH", "default", "secret"], ["HELLO", "2", "AUTH", "default", "secret"], ["UNSUBSCRIBE"]])))
        if gen.chance(0.15):
            steps.append(Step("open", 1, []))
    return steps + [token(0, "CONFIG", "SET", "requirepass", ""), Step("open", 1, []), command(1, "PING"),
                    command(1, "AUTH", "secret")]


SEQUENCES = {"connection": sequence, "replymode": replies_off, "password": password}
