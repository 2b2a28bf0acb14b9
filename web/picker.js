// The list of keys: searchable, the busiest first, any number of rows chosen at a time.
//
// The rows keep their order while a pointer or the keyboard is on them: a row must not move away
// under a finger. It is a listbox: focus stays on the list, the active row is named by
// aria-activedescendant.

import { compact, count } from "./format.js";
import { el, setShare, setText } from "./dom.js";
import { KEYS_MAX } from "./choice.js";

const ROWS_MAX = 200; // drawn at a time; the search reaches the others

export class Picker {
  constructor(nodes, choice, onChange) {
    Object.assign(this, nodes); // list, search, clear, note, title
    this.choice = choice;
    this.onChange = onChange;
    this.members = null;
    this.active = 0;
    this.busy = false;
    this.noun = ["key", "keys"];
    this.listen();
  }

  listen() {
    this.search.addEventListener("input", () => { this.active = 0; this.paint(true); });
    this.search.addEventListener("keydown", (event) => this.onSearchKey(event));
    this.list.addEventListener("keydown", (event) => this.onListKey(event));
    this.list.addEventListener("click", (event) => this.onClick(event));
    this.clear.addEventListener("click", () => { this.choice.clear(); this.changed(); });
    const hold = (held) => () => { this.busy = held; if (!held) this.paint(true); };
    this.list.addEventListener("pointerenter", hold(true));
    this.list.addEventListener("pointerleave", hold(false));
    this.list.addEventListener("focus", () => { this.busy = true; this.markActive(); });
    this.list.addEventListener("blur", hold(false));
  }

  setNoun(one, many) {
    this.noun = [one, many];
    setText(this.title, many[0].toUpperCase() + many.slice(1));
    this.search.placeholder = `Search ${many}`;
    this.search.setAttribute("aria-label", `Search ${many}`);
  }

  setMembers(members) {
    this.members = members;
    this.paint(!this.busy);
  }

  // The chosen ones stay in the list even when the server no longer counts them.
  all() {
    const known = this.members ?? [];
    const names = new Set(known.map((member) => member.key));
    const missing = this.choice.keys.filter((key) => !names.has(key));
    return [...known, ...missing.map((key) => ({ key, count: 0 }))];
  }

  filtered() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    return this.all().filter(({ key }) => words.every((word) => key.toLowerCase().includes(word)));
  }

  paint(reorder) {
    const found = this.filtered();
    if (reorder || !this.order) {
      this.order = found.slice(0, ROWS_MAX).map((member) => member.key);
    }
    const byKey = new Map(found.map((member) => [member.key, member]));
    const busiest = Math.max(1, ...found.map((member) => member.count));
    const rows = this.order.filter((key) => byKey.has(key));
    this.active = Math.min(this.active, Math.max(0, rows.length - 1));
    this.list.replaceChildren(...rows.map((key, i) => this.row(byKey.get(key), i, busiest)));
    this.clear.hidden = this.choice.keys.length === 0;
    this.paintNote(found.length, rows.length);
    this.markActive();
  }

  row(member, index, busiest) {
    const chosen = this.choice.has(member.key);
    const node = el("div", {
      class: "row", role: "option", id: `row-${index}`, "aria-selected": String(chosen),
      "data-key": member.key, "data-slot": chosen ? this.choice.slots.get(member.key) : null,
      "aria-disabled": !chosen && this.choice.full ? "true" : null,
    },
    el("span", { class: "row-bar", "aria-hidden": "true" }),
    el("span", { class: "box", "aria-hidden": "true" }),
    el("span", { class: "row-name", title: member.key }, member.key),
    el("span", { class: "row-count" }, compact(member.count)));
    setShare(node, member.count / busiest);
    return node;
  }

  paintNote(found, shown) {
    const [, many] = this.noun;
    let text = "";
    if (this.members === null) text = "Loading…";
    else if (this.all().length === 0) text = `No ${many} seen yet. They appear with the first events.`;
    else if (found === 0) text = `No ${many} match “${this.search.value}”.`;
    else if (this.choice.full) text = `${KEYS_MAX} chosen, which is as many as the chart can tell apart.`;
    else if (found > shown) text = `The ${shown} busiest of ${count(found)}; search to find others.`;
    else if (this.search.value) text = `${count(found)} of ${count(this.all().length)} ${many}`;
    else text = `${count(found)} ${found === 1 ? this.noun[0] : many}, busiest first`;
    setText(this.note, text);
  }

  markActive() {
    const rows = this.list.children;
    const focused = document.activeElement === this.list;
    for (const row of rows) row.classList.toggle("active", focused && row.id === `row-${this.active}`);
    if (focused && rows.length) this.list.setAttribute("aria-activedescendant", `row-${this.active}`);
    else this.list.removeAttribute("aria-activedescendant");
  }

  move(to) {
    this.active = Math.max(0, Math.min(this.list.children.length - 1, to));
    this.markActive();
    this.list.children[this.active]?.scrollIntoView({ block: "nearest" });
  }

  onSearchKey(event) {
    if (event.key === "ArrowDown") {
      event.preventDefault();
      this.list.focus();
      this.move(0);
    } else if (event.key === "Enter") {
      const first = this.list.children[0];
      if (first) this.toggle(first.dataset.key);
    } else if (event.key === "Escape" && this.search.value) {
      this.search.value = "";
      this.paint(true);
    }
  }

  onListKey(event) {
    const page = 8;
    const to = {
      ArrowDown: this.active + 1, ArrowUp: this.active - 1, Home: 0,
      End: this.list.children.length - 1, PageDown: this.active + page, PageUp: this.active - page,
    }[event.key];
    if (event.key === "ArrowUp" && this.active === 0) {
      event.preventDefault();
      this.search.focus();
    } else if (to !== undefined) {
      event.preventDefault();
      this.move(to);
    } else if (event.key === " " || event.key === "Enter") {
      event.preventDefault();
      const row = this.list.children[this.active];
      if (row) this.toggle(row.dataset.key);
    }
  }

  onClick(event) {
    const row = event.target.closest(".row");
    if (!row) return;
    this.active = [...this.list.children].indexOf(row);
    this.toggle(row.dataset.key);
  }

  toggle(key) {
    if (this.choice.toggle(key)) this.changed();
  }

  changed() {
    this.paint(false);
    this.onChange();
  }
}
