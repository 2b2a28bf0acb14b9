// The page's one connection: an event stream that names what is chosen, opened anew when that
// changes, and watched, as a dead connection is silent.

const SILENT_MS = 4000; // the server says something every second
const REOPEN_MS = 12000;
const RETRY_MAX_MS = 10000;
const NAMES = ["status", "series", "members", "scoreboard"];

export class Live {
  // onEvent(name, data); onState("connecting" | "live" | "reconnecting", lastMs or 0)
  constructor({ onEvent, onState }) {
    this.onEvent = onEvent;
    this.onState = onState;
    this.lastMs = 0;
    this.openedMs = 0;
    this.retryMs = 500;
    this.state = "connecting";
    this.timer = setInterval(() => this.watch(), 1000);
    addEventListener("online", () => this.reopen());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.state !== "live") this.reopen();
    });
  }

  open(query) {
    this.query = query;
    this.reopen();
  }

  reopen() {
    clearTimeout(this.retry);
    this.source?.close();
    this.openedMs = Date.now();
    const source = new EventSource(`/api/events?${this.query}`);
    this.source = source;
    for (const name of NAMES) {
      source.addEventListener(name, (event) => this.take(source, name, event.data));
    }
    source.addEventListener("error", () => this.failed(source));
  }

  take(source, name, text) {
    if (source !== this.source) return;
    this.lastMs = Date.now();
    this.retryMs = 500;
    this.set("live");
    this.onEvent(name, JSON.parse(text));
  }

  // The browser tries again by itself unless the answer was an error: then it is on us.
  failed(source) {
    if (source !== this.source) return;
    this.set(this.lastMs ? "reconnecting" : "connecting");
    if (source.readyState !== EventSource.CLOSED) return;
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.reopen(), this.retryMs);
    this.retryMs = Math.min(RETRY_MAX_MS, this.retryMs * 2);
  }

  watch() {
    const now = Date.now();
    const silent = now - Math.max(this.lastMs, this.openedMs);
    if (silent > SILENT_MS && this.lastMs) this.set("reconnecting");
    else this.onState(this.state, this.lastMs);
    if (silent > REOPEN_MS && this.source?.readyState !== EventSource.CLOSED) this.reopen();
  }

  set(state) {
    this.state = state;
    this.onState(state, this.lastMs);
  }
}
