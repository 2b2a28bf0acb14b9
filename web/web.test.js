// Tests of the parts that need no browser: node --test web

import assert from "node:assert/strict";
import { test } from "node:test";
import { ceiling, figures, mix, stack } from "./bars.js";
import { Choice, formatHash, KEYS_MAX, parseHash } from "./choice.js";
import { ago, compact, duration, plural, rate, title } from "./format.js";

test("the address keeps view and keys, whatever bytes they hold", () => {
  const keys = ["en.wikipedia.org", "a&b=c", "ключ", "100%"];
  assert.deepEqual(parseHash(formatHash("changes", keys)), { view: "changes", keys });
  assert.deepEqual(parseHash(""), { view: null, keys: [] });
  assert.deepEqual(parseHash("#key=a&key=a&key="), { view: null, keys: ["a"] });
  assert.equal(formatHash(null, []), "");
});

test("a key keeps its colour while others come and go", () => {
  const choice = new Choice("#key=a&key=b&key=c");
  assert.equal(choice.slots.get("c"), 2);
  choice.toggle("a");
  assert.equal(choice.slots.get("c"), 2);
  choice.toggle("d");
  assert.equal(choice.slots.get("d"), 0);
  assert.deepEqual(choice.keys, ["b", "c", "d"]);
  choice.read("#key=c&key=e");
  assert.equal(choice.slots.get("c"), 2);
  assert.deepEqual(choice.keys, ["c", "e"]);
});

test("no more keys than colours", () => {
  const choice = new Choice("");
  for (let i = 0; i < KEYS_MAX; i++) assert.ok(choice.toggle(`k${i}`));
  assert.equal(choice.toggle("one more"), false);
  assert.equal(choice.keys.length, KEYS_MAX);
  assert.ok(choice.toggle("k3"));
  assert.ok(choice.toggle("one more"));
  assert.equal(choice.slots.get("one more"), 3);
});

test("bars are stacked on each other", () => {
  assert.deepEqual(stack([[1, 2], [10, 20], [5, 0]]), [[1, 2], [11, 22], [16, 22]]);
  assert.deepEqual(stack([]), []);
});

test("the axis ends at a round number above the highest bar", () => {
  assert.equal(ceiling(0), 5);
  assert.equal(ceiling(97), 100);
  assert.equal(ceiling(99), 120);
  assert.equal(ceiling(812), 1000);
  assert.equal(ceiling(1000), 1200);
  for (let n = 1; n < 5000; n += 7) assert.ok(ceiling(n) >= n, `${n}`);
});

test("figures leave out the bucket that is still filling", () => {
  assert.deepEqual(figures([0, 0, 4, 8, 100]), { last: 8, average: 6, peak: 8, sum: 112 });
  assert.deepEqual(figures([3]), { last: 0, average: 0, peak: 0, sum: 3 });
  assert.equal(figures([0, 0, 0]).average, 0);
});

test("colours mix", () => {
  assert.equal(mix("#ffffff", "#000000", 0.5), "#808080");
  assert.equal(mix("#102030", "#ffffff", 1), "#102030");
});

test("words for numbers, times and names", () => {
  assert.equal(duration(8), "8 s");
  assert.equal(duration(1800), "30 min");
  assert.equal(duration(3 * 86400), "3 days");
  assert.equal(ago(1000, 2500), "just now");
  assert.equal(ago(0, 65000), "65 s ago");
  assert.equal(title("meta.domain"), "Domain");
  assert.equal(title("wikimedia_changes"), "Wikimedia changes");
  assert.equal(plural("Domain"), "Domains");
  assert.equal(plural("Country"), "Countries");
  assert.equal(compact(9999), (9999).toLocaleString());
  assert.equal(rate(12.345), (12.3).toLocaleString());
});
