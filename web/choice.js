// What is chosen: a view and keys of it, kept in the address (#view=changes&key=a&key=b), so that a
// link or a reload brings the same picture. Each key holds a colour slot as long as it is chosen.

export const KEYS_MAX = 10;

export function parseHash(hash) {
  const params = new URLSearchParams(hash.replace(/^#/, ""));
  const keys = [...new Set(params.getAll("key"))].filter(Boolean).slice(0, KEYS_MAX);
  return { view: params.get("view") || null, keys };
}

export function formatHash(view, keys) {
  const params = new URLSearchParams();
  if (view) params.append("view", view);
  for (const key of keys) params.append("key", key);
  const text = params.toString();
  return text ? `#${text}` : "";
}

export class Choice {
  constructor(hash) {
    this.slots = new Map(); // key -> 0 .. KEYS_MAX-1, in the order of choice
    this.read(hash);
  }

  read(hash) {
    const { view, keys } = parseHash(hash);
    this.view = view;
    for (const key of [...this.slots.keys()]) if (!keys.includes(key)) this.slots.delete(key);
    for (const key of keys) this.add(key);
  }

  get keys() {
    return [...this.slots.keys()];
  }

  has(key) {
    return this.slots.has(key);
  }

  get full() {
    return this.slots.size >= KEYS_MAX;
  }

  // False when there is no room for one more.
  add(key) {
    if (this.slots.has(key)) return true;
    if (this.full) return false;
    const taken = new Set(this.slots.values());
    let slot = 0;
    while (taken.has(slot)) slot++;
    this.slots.set(key, slot);
    return true;
  }

  toggle(key) {
    if (this.slots.delete(key)) return true;
    return this.add(key);
  }

  clear() {
    this.slots.clear();
  }

  get hash() {
    return formatHash(this.view, this.keys);
  }
}
