// node-redis against the server at port argv[2], in RESP2 and RESP3. Ends with status 0, or throws.
import assert from "node:assert/strict";
import { createClient } from "redis";

const port = Number(process.argv[2]);

async function run(RESP) {
  const connect = async () => {
    const client = createClient({ socket: { host: "127.0.0.1", port }, RESP });
    client.on("error", (error) => { throw error; });
    return client.connect();
  };
  const client = await connect();
  await client.flushAll();
  assert.equal(await client.set("k", "v", { EX: 100 }), "OK");
  assert.equal(await client.get("k"), "v");
  assert.equal(await client.set("k", "w", { NX: true }), null);
  assert.equal(await client.hSet("h", { a: "1", b: "2" }), 2);
  assert.deepEqual({ ...(await client.hGetAll("h")) }, { a: "1", b: "2" });
  assert.equal(await client.sAdd("s", ["x", "y"]), 2);
  assert.deepEqual([...(await client.sMembers("s"))].sort(), ["x", "y"]);
  assert.equal(await client.zAdd("z", [{ score: 1, value: "a" }, { score: 2.5, value: "b" }]), 2);
  assert.deepEqual(await client.zRangeWithScores("z", 0, -1), [
    { value: "a", score: 1 }, { value: "b", score: 2.5 }]);
  assert.equal(await client.zIncrBy("z", 1.5, "a"), 2.5);
  assert.deepEqual(await client.multi().incr("n").incr("n").get("n").exec(), [1, 2, "2"]);
  await assert.rejects(client.incr("h"), /WRONGTYPE/);
  const many = await Promise.all(Array.from({ length: 1000 }, (_, i) => client.set(`k${i}`, `${i}`)));
  assert.ok(many.every((reply) => reply === "OK"));
  let scanned = 0;
  for await (const keys of client.scanIterator({ MATCH: "k*", COUNT: 50 })) scanned += [].concat(keys).length;
  assert.ok(scanned >= 1001);

  const subscriber = await connect();
  const got = [];
  const done = new Promise((resolve) => {
    const take = (message, channel) => { got.push([channel, message]); if (got.length === 3) resolve(); };
    subscriber.subscribe("news", take).then(() => subscriber.pSubscribe("w*", take)).then(async () => {
      assert.equal(await client.publish("news", "1"), 1);
      assert.equal(await client.publish("wiki", "2"), 1);
      assert.equal(await client.publish("news", "3"), 1);
    });
  });
  await done;
  assert.deepEqual(got, [["news", "1"], ["wiki", "2"], ["news", "3"]]);
  if (RESP === 3) assert.equal(await subscriber.get("k"), "v"); // while subscribed
  await subscriber.unsubscribe("news");
  await subscriber.pUnsubscribe("w*");
  assert.equal(String(await subscriber.ping()), "PONG");
  await subscriber.close();
  assert.match(await client.info("server"), /redis_version:7/);
  await client.close();
}

await run(2);
await run(3);
console.log("ok");
