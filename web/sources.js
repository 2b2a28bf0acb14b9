// The cards of the sources, and the badge that says whether this is a feed or the simulator.

import { ago, count, duration, moment, title } from "./format.js";
import { el } from "./dom.js";

export const FEEDS = {
  connected: { word: "Live feed", feed: "live" },
  simulated: { word: "Simulated", feed: "simulated" },
  connecting: { word: "Connecting", feed: "connecting" },
  waiting: { word: "Waiting to reconnect", feed: "waiting" },
};

const feedOf = (source) =>
  FEEDS[source.simulated ? "simulated" : source.state] ?? FEEDS.connecting;

// One word for the whole page: simulated events anywhere are said first, then trouble.
export function overallFeed(sources) {
  const order = ["simulated", "waiting", "connecting", "live"];
  const feeds = sources.map(feedOf);
  for (const name of order) {
    const found = feeds.find((each) => each.feed === name);
    if (found) return found;
  }
  return null;
}

export function paintBadge(node, feed) {
  node.hidden = !feed;
  if (!feed) return;
  node.dataset.feed = feed.feed;
  if (node.textContent !== feed.word) node.textContent = feed.word;
}

function figure(name, value, { warn = false, hint } = {}) {
  return el("div", { class: warn ? "warn" : null, title: hint }, el("dt", {}, name), el("dd", {}, value));
}

// A feed of this machine (a recording, say) is told from one of the world.
function peer(url) {
  try {
    const { hostname } = new URL(url);
    return /^(localhost|127\..*|\[::1\])$/.test(hostname) ? "this machine" : hostname;
  } catch {
    return "its peer";
  }
}

function since(source, nowMs) {
  if (source.simulated) return "the simulator is running";
  if (source.state === "connected" && source.connected_since_ms) {
    const seconds = (nowMs - source.connected_since_ms) / 1000;
    const held = source.held_back ? "; held back while the views catch up" : "";
    return `connected to ${peer(source.url)} since ${moment(source.connected_since_ms, nowMs)} ` +
      `(${duration(seconds)})${held}`;
  }
  return source.state === "waiting" ? "not connected" : "connecting";
}

function notes(source) {
  const out = [];
  if (source.simulated) {
    out.push(el("p", { class: "source-note simulated" },
      el("b", {}, "These events are made up. "),
      "The feed could not be reached, so leat’s simulator makes events of the same shape."));
  }
  if (source.last_error) {
    out.push(el("p", { class: "source-note" }, el("b", {}, "Last error: "), source.last_error));
  }
  if (source.malformed && source.last_malformed) {
    out.push(el("p", { class: "source-note" }, el("b", {}, "Last malformed: "),
      el("code", {}, source.last_malformed)));
  }
  return out;
}

function card(source, nowMs) {
  const badge = el("span", { class: "badge" });
  paintBadge(badge, feedOf(source));
  const last = source.last_event_ms ? ago(source.last_event_ms, nowMs) : "none yet";
  const quietFor = source.last_event_ms ? nowMs - source.last_event_ms : 0;
  return el("article", { class: "card source", "data-feed": feedOf(source).feed, "aria-label": `Source ${source.id}` },
    el("header", { class: "source-head" },
      el("h2", {}, title(source.id)), badge,
      el("span", { class: "quiet" }, since(source, nowMs)),
      el("span", { class: "source-url", title: source.url }, source.url ?? "")),
    el("dl", { class: "figures" },
      figure("Last event", last, { warn: quietFor > 30000 }),
      figure("Events", count(source.events)),
      figure("Published", count(source.published), { hint: "Messages the broker acknowledged" }),
      figure("Reconnects", count(source.reconnects)),
      figure("Errors", count(source.errors), { warn: source.errors > 0 }),
      figure("Duplicates", count(source.duplicates), { hint: "Redelivered events, dropped" }),
      figure("Malformed", count(source.malformed), { warn: source.malformed > 0 })),
    ...notes(source));
}

export function paintSources(node, sources, nowMs) {
  node.hidden = sources.length === 0;
  node.replaceChildren(...sources.map((source) => card(source, nowMs)));
}
