// subscriber.mjs PORT NAME CHANNEL FILE: writes each message as a line, and starts anew when the server goes.
import { appendFileSync } from "node:fs";
import { createClient } from "redis";

const [port, name, channel, path] = process.argv.slice(2);
// A client that reconnects subscribes again by itself: each of its connections begins a life of its own.
const client = createClient({
  name,
  socket: { host: "127.0.0.1", port: Number(port), reconnectStrategy: () => 100 },
});
client.on("error", () => {});
client.on("connect", () => appendFileSync(path, "\n# connecting\n"));
process.on("SIGTERM", () => process.exit(0));
await client.connect();
await client.subscribe(channel, (message) => appendFileSync(path, message + "\n"));
appendFileSync(path, "\n# subscribed\n");
