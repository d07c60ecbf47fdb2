/** Building and updating what is shown. Text goes in as text only: names come from strangers. */

/** Where bytes come from, from near to far. */
export const sources = [
  { name: "store", label: "Store", means: "cached here by an earlier pull" },
  { name: "peer", label: "Peers", means: "other clients that hold it" },
  { name: "ndn", label: "NDN", means: "the server or caches between" },
  { name: "upstream", label: "Upstream", means: "the registry itself, over HTTP" },
];

/** The element with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** A new element; `children` are elements or text. */
export function el(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className !== "") element.className = className;
  element.append(...children);
  return element;
}

/** Set text, and leave the page alone when it is the same. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** As `setText`, for a name with slashes: it may be broken after each of them. */
export function setPath(element, path) {
  if (element.textContent === path) return;
  const parts = path.split(/(?<=\/)/).flatMap((part) => [part, document.createElement("wbr")]);
  element.replaceChildren(...parts.slice(0, -1));
}

/** Show `element` or not. */
export function show(element, isShown) {
  if (element.hidden === isShown) element.hidden = !isShown;
}

/**
 * Make the children of `list` those of `items`, in order. An element stays with its item from one update to the next,
 * so that nothing flickers and transitions run.
 */
export function keep(list, items, keyOf, create, update) {
  const old = new Map([...list.children].map((child) => [child.dataset.key, child]));
  let at = list.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    const element = old.get(key) ?? create(item);
    old.delete(key);
    element.dataset.key = key;
    if (element === at) at = at.nextElementSibling;
    else list.insertBefore(element, at);
    update(element, item);
  }
  for (const element of old.values()) element.remove();
}

/** Fill a bar with parts `{ name, share }`; what they leave of 1 stays empty. */
export function setBar(bar, parts, label) {
  keep(
    bar,
    parts.filter(({ share }) => share > 0),
    ({ name }) => name,
    ({ name }) => el("span", `part ${name}`),
    (element, { share }) => {
      element.style.width = `${Math.min(1, share) * 100}%`;
    },
  );
  if (bar.getAttribute("aria-label") !== label) bar.setAttribute("aria-label", label);
}

/** The sources that gave something, with their bytes and their share of `wholeBytes`. */
export function partsOf(bytes, wholeBytes = totalOf(bytes)) {
  return sources
    .map(({ name, label }) => ({ name, label, bytes: bytes[name] ?? 0 }))
    .filter((part) => part.bytes > 0)
    .map((part) => ({ ...part, share: wholeBytes > 0 ? part.bytes / wholeBytes : 0 }));
}

/** Sum over all sources. */
export function totalOf(bytes) {
  return sources.reduce((sum, { name }) => sum + (bytes[name] ?? 0), 0);
}

/** Why the upstream brought bytes; empty when it did not. */
export function whyOf({ whyNotNdn, bytes }) {
  if (whyNotNdn === null) return "";
  return `${bytes.ndn > 0 ? "Not all" : "Not"} over NDN: ${whyNotNdn}`;
}

/** Show a note, or nothing where there is none. */
export function setNote(element, text) {
  setText(element, text ?? "");
  show(element, Boolean(text));
}
