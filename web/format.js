// Numbers and times as people read them: in the browser's language and zone.

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const clockFormat = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});
const minuteFormat = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});
const dayFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

export const count = (n) => whole.format(n);
export const compact = (n) => (Math.abs(n) < 10000 ? whole.format(n) : short.format(n));
export const rate = (n) => (n >= 99.95 ? whole : tenth).format(n);

export const clock = (ms) => clockFormat.format(ms);
export const minute = (ms) => minuteFormat.format(ms);

// With the day when it is not today's.
export function moment(ms, nowMs) {
  const sameDay = new Date(ms).toDateString() === new Date(nowMs).toDateString();
  return sameDay ? clock(ms) : `${dayFormat.format(ms)}, ${clock(ms)}`;
}

// A length of time in its largest fitting unit: "8 s", "30 min", "6 h", "3 days".
export function duration(seconds) {
  const s = Math.round(seconds);
  if (s < 120) return `${s} s`;
  if (s < 120 * 60) return `${Math.round(s / 60)} min`;
  if (s < 48 * 3600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} days`;
}

export function ago(ms, nowMs) {
  const seconds = Math.max(0, (nowMs - ms) / 1000);
  return seconds < 2 ? "just now" : `${duration(seconds)} ago`;
}

// "wikimedia-changes", "meta.domain" -> "Wikimedia changes", "Domain"
export function title(name) {
  const last = name.split(".").pop().replace(/[_-]+/g, " ").trim();
  return last ? last[0].toUpperCase() + last.slice(1) : name;
}

const irregular = { Country: "Countries", City: "Cities", Category: "Categories", Status: "Statuses" };
export function plural(word) {
  if (irregular[word]) return irregular[word];
  return /(s|x|ch|sh)$/.test(word) ? word : `${word}s`;
}
