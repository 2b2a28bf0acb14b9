// ioredis against the server at port argv[2]. Ends with status 0, or throws.
import assert from "node:assert/strict";
import Redis from "ioredis";

const port = Number(process.argv[2]);
const redis = new Redis({ port, host: "127.0.0.1" }); // waits for INFO's `loading:0`
await redis.flushall();
assert.equal(await redis.set("k", "v", "EX", 100), "OK");
assert.equal(await redis.get("k"), "v");
assert.equal(await redis.hset("h", { a: 1, b: 2 }), 2);
assert.deepEqual(await redis.hgetall("h"), { a: "1", b: "2" });
assert.equal(await redis.zadd("z", 1, "a", 2, "b"), 2);
assert.deepEqual(await redis.zrevrange("z", 0, -1, "WITHSCORES"), ["b", "2", "a", "1"]);
assert.deepEqual(await redis.pipeline().incr("n").get("n").hget("n", "f").exec().then((rows) =>
  rows.map(([error, value]) => (error ? error.message.slice(0, 9) : value))), [1, "1", "WRONGTYPE"]);
assert.deepEqual(await redis.multi().incr("n").incr("n").exec(), [[null, 2], [null, 3]]);
const buffer = Buffer.from([0, 255, 13, 10, 128]);
await redis.set(buffer, buffer);
assert.deepEqual(await redis.getBuffer(buffer), buffer);
const names = [];
for await (const keys of redis.scanStream({ count: 2 })) names.push(...keys);
assert.ok(names.includes("h") && names.includes("z"));

const subscriber = redis.duplicate();
const messages = [];
const done = new Promise((resolve) => subscriber.on("message", (channel, message) => {
  messages.push([channel, message]);
  if (messages.length === 2) resolve();
}));
assert.equal(await subscriber.subscribe("a", "b"), 2);
assert.equal(await redis.publish("a", "1"), 1);
assert.equal(await redis.publish("b", "2"), 1);
await done;
assert.deepEqual(messages, [["a", "1"], ["b", "2"]]);
await assert.rejects(subscriber.get("k"), /subscriber mode/);

const monitor = await redis.monitor();
const seen = new Promise((resolve) => monitor.on("monitor", (time, args) => args[0] === "set" && resolve(args)));
await redis.set("watched", "1");
assert.deepEqual(await seen, ["set", "watched", "1"]);
monitor.disconnect();

const waiting = redis.duplicate().bzpopmin("q", 5);
setTimeout(() => redis.zadd("q", 7, "job"), 50);
assert.deepEqual(await waiting, ["q", "job", "7"]);
console.log("ok");
process.exit(0);
