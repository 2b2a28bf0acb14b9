// Scoreboards: one card each, the highest first, a bar behind each row.

import { count, title } from "./format.js";
import { el, setShare, setText } from "./dom.js";

function row(entry, rank, highest) {
  const node = el("li", { class: "board-row" },
    el("span", { class: "row-bar", "aria-hidden": "true" }),
    el("span", { class: "rank" }, String(rank)),
    el("span", { class: "row-name", title: entry.member }, entry.member || "(empty)"),
    el("span", { class: "row-count" }, entry.score === null ? "–" : count(entry.score)));
  setShare(node, highest > 0 ? entry.score / highest : 0);
  return node;
}

export class Boards {
  constructor(node) {
    this.node = node;
    this.cards = new Map(); // view id -> {card, list, empty}
  }

  setViews(views) {
    const boards = views.filter((view) => view.type === "scoreboard");
    this.node.hidden = boards.length === 0;
    if (boards.map((view) => view.id).join("\n") === [...this.cards.keys()].join("\n")) return;
    this.cards.clear();
    for (const view of boards) this.cards.set(view.id, this.card(view));
    this.node.replaceChildren(...[...this.cards.values()].map((each) => each.card));
  }

  card(view) {
    const list = el("ol", { class: "rows board-list" });
    const empty = el("p", { class: "quiet note" }, "Nothing counted yet.");
    const link = view.serve
      ? el("a", { class: "quiet", href: view.serve, title: "The same as JSON" }, view.serve)
      : null;
    const card = el("article", { class: "card board", "aria-label": `Scoreboard ${view.id}` },
      el("header", { class: "card-head" },
        el("div", {}, el("h2", {}, title(view.id)),
          el("p", { class: "quiet" }, `top ${view.top} of ${view.topic}`)),
        link),
      list, empty);
    return { card, list, empty };
  }

  set({ view, top }) {
    const board = this.cards.get(view);
    if (!board) return;
    const highest = Math.max(0, ...top.map((entry) => entry.score ?? 0));
    board.empty.hidden = top.length > 0;
    setText(board.empty, "Nothing counted yet.");
    board.list.replaceChildren(...top.map((entry, i) => row(entry, i + 1, highest)));
  }
}
