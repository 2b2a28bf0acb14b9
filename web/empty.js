// What the page says when there is nothing to show yet, and what to do about it.

import { el } from "./dom.js";

function noFlow() {
  return [
    el("h2", {}, "No flow is running"),
    el("p", {}, "The broker is up and answers Redis clients. To see events here, run a flow: a short file that says what to read, where to publish it and what to count."),
    el("pre", { tabindex: "0" }, el("code", {}, "leat run examples/wikipedia.yaml")),
    el("p", { class: "quiet" }, "Or beside a broker that is to stay: ", el("code", {}, "leat serve --flows examples/wikipedia.yaml"), "."),
  ];
}

function noEvent(sources) {
  const names = sources.map((source) => source.id).join(", ");
  const trouble = sources.map((source) => source.last_error).find(Boolean);
  return [
    el("h2", {}, "Waiting for the first event"),
    el("p", {}, `Nothing has come from ${names} yet. The page fills by itself as soon as something does.`),
    trouble ? el("p", {}, el("b", {}, "What stands in the way: "), trouble) : null,
    el("p", { class: "quiet" }, "Without internet, serve a recording and point the flow at it:"),
    el("pre", { tabindex: "0" }, el("code", {}, "leat replay FILE --as sse --port 8090\n" +
      "LEAT_SOURCE_URL=http://127.0.0.1:8090/ leat run examples/wikipedia.yaml")),
  ];
}

export function paintEmpty(node, status) {
  const events = status.sources.reduce((sum, source) => sum + source.events, 0);
  const counted = status.views.reduce((sum, view) => sum + view.processed, 0);
  let kind = null;
  if (status.sources.length === 0 && status.views.length === 0) kind = "flow";
  else if (status.sources.length > 0 && events === 0 && counted === 0) kind = "event";
  node.hidden = !kind;
  const trouble = status.sources.map((source) => source.last_error ?? "").join();
  const shape = `${kind} ${trouble}`;
  if (!kind || node.dataset.shape === shape) return;
  node.dataset.shape = shape;
  const parts = kind === "flow" ? noFlow() : noEvent(status.sources);
  node.replaceChildren(...parts.filter(Boolean));
}
