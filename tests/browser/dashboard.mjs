// The dashboard in a real browser. Usage: node dashboard.mjs URL CHROMIUM FOLDER [SCREENSHOT]
//
// Prints one line of JSON per check, {"check": name, "error": null or text}; what the page itself
// complained of is a check of its own. The feed is running while this looks.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [url, executablePath, folder, screenshot] = process.argv.slice(2);
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

const browser = await chromium.launch({ executablePath, args: FLAGS });
const complaints = [];

async function open(options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(15000);
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => { if (message.type() === "error") complaints.push(message.text()); });
  page.on("requestfailed", (request) => {
    const why = request.failure()?.errorText; // a page that is left gives up what it asked for
    if (why !== "net::ERR_ABORTED") complaints.push(`failed: ${request.url()}: ${why}`);
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith("data:")) {
      complaints.push(`asked somebody else: ${request.url()}`);
    }
  });
  await page.goto(url);
  await page.waitForFunction(() => document.querySelector("#link").dataset.state === "live");
  await page.waitForSelector("#chart canvas");
  return page;
}

async function check(name, run) {
  let error = null;
  try {
    await run();
  } catch (caught) {
    error = String(caught.stack ?? caught);
  }
  console.log(JSON.stringify({ check: name, error }));
}

// How many pixels of the chart are coloured (bars are; axes, grid and ground are grey).
const colouredPixels = (page) => page.evaluate(() => {
  const canvas = document.querySelector("#chart canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let coloured = 0;
  for (let i = 0; i < data.length; i += 4) {
    const [r, g, b, a] = data.subarray(i, i + 4);
    if (a > 0 && Math.max(r, g, b) - Math.min(r, g, b) > 60) coloured++;
  }
  return coloured;
});

const rows = (page) => page.$$eval("#picker-list .row", (nodes) => nodes.map((node) => node.dataset.key));
const chips = (page) => page.$$eval("#legend .chip", (nodes) => nodes.map((node) => ({
  name: node.querySelector(".chip-name").textContent, sum: node.querySelector(".chip-sum").textContent })));
const chartSum = async (page) => (await chips(page)).map((chip) => chip.sum).join(" ");
const settle = (page) => page.waitForTimeout(300);

const page = await open({ viewport: { width: 1280, height: 900 } });

await check("the page comes up, live, with its sources", async () => {
  assert.match(await page.title(), /leat$/);
  assert.match(await page.textContent("#feed"), /feed|simulat/i);
  assert.ok((await page.$$("#sources > *")).length >= 1);
  assert.match(await page.textContent("#chart-title"), /Changes per 10 s/);
});

await check("bars are drawn", async () => {
  await page.waitForFunction(() => document.querySelector("#legend .chip-sum").textContent !== "0");
  await settle(page);
  assert.ok(await colouredPixels(page) > 500, `${await colouredPixels(page)} coloured pixels`);
});

await check("the busiest domains come first", async () => {
  const members = await (await page.request.get(`${url}api/members?view=changes`)).json();
  assert.ok(members.length >= 3);
  assert.deepEqual(members.map((m) => m.count), members.map((m) => m.count).sort((a, b) => b - a));
  const shown = await rows(page);
  assert.deepEqual(new Set(shown), new Set(members.map((m) => m.key)));
  assert.equal(shown[0], members[0].key);
});

await check("the search narrows the list", async () => {
  await page.fill("#picker-search", "wiktionary");
  assert.deepEqual(await rows(page), ["ja.wiktionary.org"]);
  await page.fill("#picker-search", "no such domain");
  assert.deepEqual(await rows(page), []);
  await page.fill("#picker-search", "");
});

await check("domains are chosen and taken away", async () => {
  await page.click('#picker-list [data-key="en.wikipedia.org"]');
  await page.click('#picker-list [data-key="de.wikipedia.org"]');
  await page.waitForFunction(() => !document.querySelector("#legend").textContent.includes("…"));
  const chosen = await chips(page);
  assert.deepEqual(chosen.map((chip) => chip.name), ["en.wikipedia.org", "de.wikipedia.org"]);
  assert.ok(chosen.every((chip) => chip.sum !== "0"));
  assert.ok(await colouredPixels(page) > 300);
  assert.match(page.url(), /en\.wikipedia\.org/); // the choice can be shared
  await page.click("#legend .chip >> nth=1");
  assert.deepEqual((await chips(page)).map((chip) => chip.name), ["en.wikipedia.org"]);
});

await check("what is shown is what the server counts", async () => {
  // Between two readings a change may come in; so both must agree at some moment.
  await page.waitForFunction(async () => {
    const answer = await (await fetch("/api/series?view=changes&key=en.wikipedia.org")).json();
    const sum = answer.series[0].values.reduce((a, b) => a + b, 0);
    const shown = document.querySelector("#legend .chip-sum").textContent;
    return sum < 1000 ? shown === String(sum) : shown.startsWith(String(sum)[0]);
  }, null, { polling: 250 });
});

await check("it updates by itself, without a reload", async () => {
  await page.evaluate(() => { window.notReloaded = true; });
  await page.click("#picker-clear");
  const before = await chartSum(page);
  const counted = (await (await page.request.get(`${url}api/status`)).json()).sources[0].events;
  await page.waitForFunction((old) => [...document.querySelectorAll("#legend .chip-sum")]
    .map((node) => node.textContent).join(" ") !== old, before, { timeout: 30000 }).catch(() => {});
  const after = (await (await page.request.get(`${url}api/status`)).json()).sources[0].events;
  assert.ok(after > counted, "the feed stands still");
  assert.equal(await page.evaluate(() => window.notReloaded), true);
  assert.notEqual(await page.textContent("#rate-value"), "0");
});

await check("a single bar can be read by keyboard", async () => {
  await page.focus("#chart");
  await page.keyboard.press("ArrowLeft");
  await settle(page);
  assert.match(await page.textContent("#chart-say"), /\d/);
  await page.keyboard.press("Escape");
});

await check("the dark theme is dark, the light one light", async () => {
  const lightness = () => page.evaluate(() => {
    const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number);
    return (r + g + b) / 3;
  });
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
  assert.equal(await theme(), "light");
  assert.ok(await lightness() > 200);
  await page.click("#theme");
  assert.equal(await theme(), "dark");
  assert.ok(await lightness() < 60);
  await settle(page);
  assert.ok(await colouredPixels(page) > 300);
  await page.screenshot({ path: `${folder}/dark.png` });
  await page.click("#theme");
});

await check("it follows the system's theme", async () => {
  const dark = await open({ colorScheme: "dark", viewport: { width: 1000, height: 700 } });
  assert.equal(await dark.evaluate(() => document.documentElement.dataset.theme), "dark");
  await dark.context().close();
});

await check("a phone shows all of it without scrolling sideways", async () => {
  const phone = await open({ viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true });
  const [wide, view] = await phone.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= view, `${wide} pixels wide on a screen of ${view}`);
  await phone.tap('#picker-list [data-key="en.wikipedia.org"]');
  await phone.waitForFunction(() => !document.querySelector("#legend").textContent.includes("…"));
  assert.deepEqual((await chips(phone)).map((chip) => chip.name), ["en.wikipedia.org"]);
  assert.ok(await colouredPixels(phone) > 100);
  const small = await phone.$$eval("#picker-list .row", (nodes) => nodes
    .filter((node) => node.offsetParent && node.getBoundingClientRect().height < 24).map((node) => node.outerHTML.slice(0, 80)));
  assert.deepEqual(small, []); // fingers need room
  await phone.screenshot({ path: `${folder}/phone.png`, fullPage: true });
  await phone.context().close();
});

await check("the choice in the address is taken up", async () => {
  const shared = await open({ viewport: { width: 1280, height: 900 } });
  await shared.goto(`${url}#key=de.wikipedia.org`);
  await shared.reload();
  await shared.waitForSelector("#legend .chip");
  await shared.waitForFunction(() => document.querySelector("#legend .chip-name")?.textContent === "de.wikipedia.org");
  await shared.context().close();
});

if (screenshot) {
  await check("the picture for the README", async () => {
    const picture = await open({ viewport: { width: 1280, height: 860 }, deviceScaleFactor: 1 });
    for (const key of ["en.wikipedia.org", "de.wikipedia.org", "commons.wikimedia.org"]) {
      await picture.click(`#picker-list [data-key="${key}"]`);
    }
    await picture.mouse.move(1, 1);
    await picture.waitForTimeout(1500);
    await picture.screenshot({ path: screenshot });
    await picture.context().close();
  });
}

await check("the page complained of nothing", async () => assert.deepEqual(complaints, []));
await browser.close();
