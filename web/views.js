// The table of views: what each has counted and what went wrong.

import { count } from "./format.js";
import { el } from "./dom.js";

const KINDS = { timeseries: "time series", scoreboard: "scoreboard" };

function row(view) {
  const bad = view.errors > 0 || view.malformed > 0;
  return [
    el("tr", { class: bad ? "warn" : null },
      el("th", { scope: "row" }, view.id),
      el("td", {}, KINDS[view.type] ?? view.type),
      el("td", {}, view.topic),
      el("td", { class: "num" }, count(view.processed)),
      el("td", { class: view.malformed ? "num bad" : "num" }, count(view.malformed)),
      el("td", { class: view.errors ? "num bad" : "num" }, count(view.errors))),
    view.last_error
      ? el("tr", { class: "why" }, el("td", { colspan: "6" }, `Last error of ${view.id}: ${view.last_error}`))
      : null,
  ];
}

export function paintViews(section, body, views) {
  section.hidden = views.length === 0;
  body.replaceChildren(...views.flatMap(row).filter(Boolean));
}
