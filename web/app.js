// The page: one event stream in, the parts painted from what it says. What is chosen lives in the
// address; everything else comes from the server each time.

import { Boards } from "./boards.js";
import { Chart } from "./chart.js";
import { Choice } from "./choice.js";
import { figures } from "./bars.js";
import { ago, clock, compact, count, duration, plural, rate, title } from "./format.js";
import { Live } from "./live.js";
import { overallFeed, paintBadge, paintSources } from "./sources.js";
import { Picker } from "./picker.js";
import { paintEmpty } from "./empty.js";
import { paintViews } from "./views.js";
import { $, el, setText } from "./dom.js";

const choice = new Choice(location.hash);
const boards = new Boards($("boards"));
const chart = new Chart($("chart"), $("chart-say"));
const picker = new Picker({
  list: $("picker-list"), search: $("picker-search"), clear: $("picker-clear"),
  note: $("picker-note"), title: $("picker-title"),
}, choice, onChoice);

let status = null;
let series = null;
let lastState = null;

// ---- What is chosen ----

const timeseries = () => (status?.views ?? []).filter((view) => view.type === "timeseries");
const currentView = () => {
  const views = timeseries();
  return views.find((view) => view.id === choice.view) ?? views[0] ?? null;
};

function query() {
  const params = new URLSearchParams();
  if (choice.view) params.append("view", choice.view);
  for (const key of choice.keys) params.append("key", key);
  return params.toString();
}

let reopen = 0;
function onChoice() {
  history.replaceState(null, "", choice.hash || location.pathname);
  paintLegend();
  paintChart();
  clearTimeout(reopen);
  reopen = setTimeout(() => live.open(query()), 150);
}

addEventListener("hashchange", () => {
  choice.read(location.hash);
  picker.paint(false);
  onChoice();
});

function chooseView(id) {
  choice.view = id;
  choice.clear();
  series = null;
  picker.members = null;
  picker.paint(true);
  onChoice();
  paintStatus();
}

// ---- The connection of the page ----

const WORDS = { connecting: "Connecting", live: "Live", reconnecting: "Reconnecting" };

function onState(state, lastMs) {
  const link = $("link");
  link.dataset.state = state;
  setText($("link-word"), WORDS[state]);
  const late = state === "live" ? clock(lastMs) : lastMs ? `last data ${ago(lastMs, Date.now())}` : "";
  setText($("link-time"), late);
  document.body.classList.toggle("stale", state === "reconnecting");
  if (state === lastState) return;
  if (lastState && !(lastState === "connecting" && state === "live")) {
    setText($("announce"), state === "live" ? "The page is live again." : "The page lost its connection.");
  }
  lastState = state;
}

const live = new Live({
  onState,
  onEvent(name, data) {
    if (name === "status") { status = data; paintStatus(); }
    if (name === "series") { series = data; paintChart(); paintLegend(); }
    if (name === "members") picker.setMembers(data);
    if (name === "scoreboard") boards.set(data);
  },
});

// ---- Painting ----

function paintStatus() {
  if (!status) return;
  const view = currentView();
  setText($("version"), `leat ${status.version}`);
  setText($("engine"), status.engine);
  $("trouble").hidden = (status.broker ?? "connected") === "connected";
  $("rate").hidden = status.sources.length === 0;
  setText($("rate-value"), rate(status.rate_per_s ?? 0));
  document.title = status.sources.length ? `${rate(status.rate_per_s ?? 0)}/s · leat` : "leat";
  const feed = overallFeed(status.sources);
  paintBadge($("feed"), feed);
  document.body.dataset.feed = feed?.feed ?? "none";
  paintSources($("sources"), status.sources, status.now_ms);
  boards.setViews(status.views);
  paintViews($("views"), $("views-body"), status.views);
  paintEmpty($("empty"), status);
  $("series").hidden = !view;
  if (view) paintSeriesHead(view);
}

function paintSeriesHead(view) {
  const noun = view.by ? title(view.by).toLowerCase() : null;
  $("picker").hidden = !noun;
  $("series").classList.toggle("alone", !noun);
  if (noun) picker.setNoun(noun, plural(title(view.by)).toLowerCase());
  setText($("chart-title"), `${title(view.id)} per ${duration(view.interval_s)}`);
  setText($("chart-sub"), `${view.topic}, last ${duration(view.history_s)}`);
  paintViewChoice(view);
}

function paintViewChoice(current) {
  const node = $("view-choice");
  const views = timeseries();
  node.hidden = views.length < 2;
  if (node.hidden) return;
  const shape = `${current.id}\n${views.map((view) => view.id).join("\n")}`;
  if (node.dataset.shape === shape) return;
  node.dataset.shape = shape;
  node.replaceChildren(...views.map((view) => el("label", {},
    el("input", { type: "radio", name: "view", value: view.id, checked: view.id === current.id,
      onchange: () => chooseView(view.id) }),
    el("span", {}, title(view.id)))));
}

const zeros = (n) => new Array(n).fill(0);

// The chosen series in the order of choice; the total when none is. One that the server has not
// sent yet (just chosen) stands as zeros for a moment.
function shownSeries() {
  const length = series.total.length;
  if (choice.keys.length === 0) return [{ key: "Total", slot: null, values: series.total }];
  const sent = new Map(series.series.map((each) => [each.key, each.values]));
  return choice.keys.map((key) => ({
    key, slot: choice.slots.get(key), values: sent.get(key) ?? zeros(length), pending: !sent.has(key),
  }));
}

function paintChart() {
  const view = currentView();
  if (!series || (view && series.view !== view.id)) return;
  const shown = shownSeries();
  chart.set(series, shown);
  const sums = zeros(series.total.length).map((_, x) => shown.reduce((sum, each) => sum + each.values[x], 0));
  const { last, average, peak } = figures(sums);
  $("chart-figures").replaceChildren(
    ...[["Last interval", last], ["Average", average], ["Peak", peak]].map(([name, value]) =>
      el("div", {}, el("dt", {}, name), el("dd", {}, compact(Math.round(value))))));
  $("chart").setAttribute("aria-label",
    `${$("chart-title").textContent} for ${shown.map((each) => each.key).join(", ")}. ` +
    `Last interval ${count(last)}, average ${count(average)}, peak ${count(peak)}. ` +
    "Arrow keys read single bars.");
}

function chip(each) {
  const sum = each.pending ? "…" : compact(each.values.reduce((a, b) => a + b, 0));
  const chosen = each.slot !== null;
  const node = el(chosen ? "button" : "span", {
    class: "chip", type: chosen ? "button" : null, title: chosen ? `Remove ${each.key}` : null,
    onclick: chosen ? () => { chart.emphasize(null); choice.toggle(each.key); picker.paint(false); onChoice(); } : null,
    onpointerenter: chosen ? () => chart.emphasize(each.key) : null,
    onpointerleave: chosen ? () => chart.emphasize(null) : null,
  },
  el("span", { class: "swatch", "data-slot": each.slot ?? "total" }),
  el("span", { class: "chip-name" }, each.key),
  el("span", { class: "chip-sum" }, sum),
  chosen ? el("span", { class: "chip-x", "aria-hidden": "true" }, "×") : null,
  chosen ? el("span", { class: "unseen" }, "remove") : null);
  return node;
}

function paintLegend() {
  if (!series) return;
  const shown = shownSeries();
  const shape = shown.map((each) => `${each.slot} ${each.key}`).join("\n");
  const node = $("legend");
  if (node.dataset.shape === shape) {
    shown.forEach((each, i) => {
      setText(node.children[i].querySelector(".chip-sum"),
        each.pending ? "…" : compact(each.values.reduce((a, b) => a + b, 0)));
    });
    return;
  }
  node.dataset.shape = shape;
  const view = currentView();
  const hint = choice.keys.length === 0 && view?.by
    ? el("span", { class: "quiet" }, `Choose ${plural(title(view.by)).toLowerCase()} to compare them.`)
    : null;
  node.replaceChildren(...shown.map(chip), ...(hint ? [hint] : []));
}

live.open(query());
