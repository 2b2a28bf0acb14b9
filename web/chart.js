// The bar chart: one bar per interval, the chosen series stacked. uPlot draws; the tooltip, the
// mark of the bar under the pointer and the reading by keyboard are ours.

import uPlot from "./uplot.js";
import { ceiling, mix, stack } from "./bars.js";
import { clock, compact, count, minute } from "./format.js";
import { el } from "./dom.js";

const HEIGHT = { wide: 320, narrow: 240 };

function colours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  return {
    ink: read("--quiet"), grid: read("--grid"), ground: read("--card"), total: read("--accent"),
    slots: Array.from({ length: 10 }, (_, i) => read(`--series-${i}`)),
  };
}

export class Chart {
  constructor(node, say) {
    this.node = node;
    this.say = say;
    this.emphasis = null; // key of the series that is pointed at in the legend
    this.index = null;    // bar under the pointer or the keyboard
    this.tip = el("div", { class: "tip", hidden: true });
    this.mark = el("div", { class: "bar-mark", hidden: true });
    this.filling = el("div", { class: "bar-filling", title: "This interval is still running" });
    node.addEventListener("keydown", (event) => this.onKey(event));
    node.addEventListener("blur", () => this.point(null));
    new ResizeObserver(() => this.resize()).observe(node);
    document.addEventListener("themechange", () => this.rebuild());
    document.fonts?.ready.then(() => this.rebuild());
  }

  // data: {from, to, interval_s}; series: [{key, slot, values}], slot null for the total.
  set(data, series) {
    const shape = series.map((each) => `${each.slot}:${each.key}`).join("\n");
    this.follow(data);
    const same = shape === this.shape && this.data?.interval_s === data.interval_s;
    this.data = data;
    this.series = series;
    this.shape = shape;
    if (same && this.plot) this.refresh();
    else this.rebuild();
  }

  // A bar that was chosen by keyboard stays chosen when time moves it to the left.
  follow(data) {
    if (!this.byKeyboard || this.index === null || !this.data) return;
    const moved = Math.round((data.from - this.data.from) / data.interval_s);
    this.index = Math.max(0, this.index - moved);
  }

  emphasize(key) {
    if (this.emphasis === key) return;
    this.emphasis = key;
    this.rebuild();
  }

  // uPlot draws in order, so the highest of the stack comes first and the others cover it.
  aligned() {
    const { from, to, interval_s: step } = this.data;
    const times = [];
    for (let t = from; t <= to; t += step) times.push(t);
    return [times, ...stack(this.series.map((each) => each.values)).reverse()];
  }

  top() {
    const highest = stack(this.series.map((each) => each.values)).at(-1) ?? [0];
    return ceiling(Math.max(0, ...highest));
  }

  colourOf(series) {
    const colour = series.slot === null ? this.palette.total : this.palette.slots[series.slot];
    const dimmed = this.emphasis !== null && this.emphasis !== series.key;
    return dimmed ? mix(colour, this.palette.ground, 0.22) : colour;
  }

  size() {
    const width = Math.max(200, this.node.clientWidth);
    return { width, height: width < 560 ? HEIGHT.narrow : HEIGHT.wide };
  }

  axis(extra) {
    return {
      stroke: this.palette.ink, font: "11px Inter, system-ui, sans-serif",
      grid: { stroke: this.palette.grid, width: 1 }, ticks: { show: false }, ...extra,
    };
  }

  options() {
    const bars = uPlot.paths.bars({ size: [1, 100], align: 1, gap: this.gap() });
    return {
      ...this.size(),
      padding: [12, 4, 0, 0],
      legend: { show: false },
      cursor: {
        x: false, y: false, points: { show: false }, drag: { x: false, y: false },
        dataIdx: (u, seriesIndex, nearest, x) => this.barAt(x),
      },
      scales: {
        x: { time: true, range: () => [this.data.from, this.data.to + this.data.interval_s] },
        y: { range: () => [0, this.top()] },
      },
      axes: [
        this.axis({ grid: { show: false }, space: 64, size: 28, gap: 6,
          values: (u, times) => times.map((t) => minute(t * 1000)) }),
        this.axis({ size: 44, gap: 8, space: 44,
          incrs: [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6, 1e7],
          values: (u, values) => values.map(compact) }),
      ],
      series: [{}, ...[...this.series].reverse().map((each) => ({
        label: each.key, fill: this.colourOf(each), stroke: "transparent", width: 0,
        paths: bars, points: { show: false },
      }))],
      hooks: {
        setCursor: [(u) => this.onCursor(u)],
        draw: [() => this.place()],
      },
    };
  }

  // A hair of ground between bars, where there is room for it.
  gap() {
    const bars = (this.data.to - this.data.from) / this.data.interval_s + 1;
    return (this.size().width - 60) / bars >= 3.5 ? 1 : 0;
  }

  barAt(x) {
    const { from, to, interval_s: step } = this.data;
    const last = (to - from) / step;
    return Math.max(0, Math.min(last, Math.floor((x - from) / step)));
  }

  rebuild() {
    if (!this.data) return;
    this.palette = colours();
    this.plot?.destroy();
    this.plot = new uPlot(this.options(), this.aligned(), this.node);
    this.plot.over.append(this.filling, this.mark);
    this.node.append(this.tip);
    this.place();
  }

  refresh() {
    this.plot.setData(this.aligned());
    this.place();
  }

  resize() {
    if (!this.plot) return;
    const size = this.size();
    if (size.width !== this.plot.width || size.height !== this.plot.height) this.rebuild();
  }

  span(index) {
    const start = this.data.from + index * this.data.interval_s;
    const left = this.plot.valToPos(start, "x");
    return { start, left, width: this.plot.valToPos(start + this.data.interval_s, "x") - left };
  }

  last() {
    return (this.data.to - this.data.from) / this.data.interval_s;
  }

  place() {
    if (!this.plot) return;
    const { left, width } = this.span(this.last());
    this.filling.style.left = `${left}px`;
    this.filling.style.width = `${width}px`;
    this.paintTip();
  }

  onCursor(u) {
    const left = u.cursor.left ?? -1;
    const index = left < 0 ? null : this.barAt(u.posToVal(left, "x"));
    if (this.byKeyboard && index === null) return;
    this.index = index;
    this.paintTip();
  }

  point(index) {
    this.byKeyboard = index !== null;
    this.index = index;
    this.paintTip();
    if (index !== null) this.say.textContent = this.sentence(index);
  }

  onKey(event) {
    if (!this.data) return;
    const at = this.index ?? this.last();
    const to = {
      ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: this.last(),
      PageUp: at - 10, PageDown: at + 10,
    }[event.key];
    if (event.key === "Escape") this.point(null);
    if (to === undefined) return;
    event.preventDefault();
    this.point(Math.max(0, Math.min(this.last(), this.index === null ? this.last() : to)));
  }

  rows(index) {
    return this.series
      .map((each) => ({ ...each, value: each.values[index] ?? 0 }))
      .sort((a, b) => b.value - a.value);
  }

  heading(index) {
    const { start } = this.span(index);
    const end = start + this.data.interval_s;
    const so = index === this.last() ? " (so far)" : "";
    return `${clock(start * 1000)} – ${clock(end * 1000)}${so}`;
  }

  sentence(index) {
    const parts = this.rows(index).map((row) => `${row.key} ${count(row.value)}`);
    return `${this.heading(index)}: ${parts.join(", ")}`;
  }

  paintTip() {
    const off = this.index === null || this.index > this.last();
    this.tip.hidden = this.mark.hidden = off;
    if (off) return;
    const { left, width } = this.span(this.index);
    const rows = this.rows(this.index);
    this.mark.style.left = `${left}px`;
    this.mark.style.width = `${Math.max(1, width)}px`;
    this.tip.replaceChildren(
      el("p", { class: "tip-time" }, this.heading(this.index)),
      ...rows.map((row) => el("p", { class: "tip-row" },
        el("span", { class: "swatch", "data-slot": row.slot ?? "total" }),
        el("span", { class: "tip-name" }, row.key),
        el("b", {}, count(row.value)))),
      rows.length > 1
        ? el("p", { class: "tip-row tip-sum" }, el("span", { class: "tip-name" }, "Together"),
          el("b", {}, count(rows.reduce((sum, row) => sum + row.value, 0))))
        : "");
    this.placeTip(left + width / 2);
  }

  placeTip(centre) {
    const plotLeft = this.plot.over.offsetLeft;
    const room = this.node.clientWidth;
    const own = this.tip.offsetWidth;
    const right = plotLeft + centre + 14;
    const at = right + own <= room ? right : plotLeft + centre - own - 14;
    this.tip.style.left = `${Math.max(0, Math.min(at, room - own))}px`;
  }
}
