// Elements without markup in strings: whatever comes from the stream goes in as text only.

export const $ = (id) => document.getElementById(id);

// el("li", {class: "x", "aria-label": "y", onclick: f}, "text", child, null)
export function el(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// Changes the text only where it differs, so that a selection or a screen reader is not disturbed.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Width of a bar as a share of 1, set where the content security policy allows it: by script.
export function setShare(node, share) {
  node.style.setProperty("--share", `${(100 * Math.max(0, Math.min(1, share))).toFixed(2)}%`);
}
