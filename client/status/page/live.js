/** The blobs that are being pulled now. */
import { byId, el, keep, partsOf, setBar, setNote, setPath, setText, show, totalOf, whyOf } from "./dom.js";
import { formatBytes, formatDuration, formatLeft, formatShare, shorten } from "./format.js";

/** Bytes, time and rate at the last update, by id: what has come since then makes the rate. */
let before = new Map();
/** How much the newest second counts. */
const newest = 0.3;

export function renderLive({ live, liveCount, registries }, nowMs) {
  setText(byId("live-count"), liveCount > 0 ? String(liveCount) : "");
  show(byId("live-empty"), liveCount === 0);
  setText(byId("endpoint"), location.host);
  // The first registry is the one of names without one.
  setText(byId("example"), registries[0]?.name === "docker.io" ? "library/alpine" : "REPOSITORY:TAG");
  const seen = new Map();
  keep(
    byId("live"),
    live,
    ({ id }) => id,
    create,
    (row, blob) => {
      const bytes = totalOf(blob.bytes);
      const rate = rateOf(before.get(blob.id), blob, bytes, nowMs);
      update(row, blob, bytes, rate, registries.length > 1);
      seen.set(blob.id, { bytes, nowMs, rate });
    },
  );
  before = seen;
  const more = liveCount - live.length;
  show(byId("live-more"), more > 0);
  setText(byId("live-more"), more > 0 ? `and ${more} more` : "");
}

function create() {
  const bar = el("div", "bar");
  bar.setAttribute("role", "progressbar");
  return el(
    "li",
    "",
    el("span", "name", el("b"), el("code")),
    el("span", "from"),
    bar,
    el("span", "amount"),
    el("span", "rate"),
    el("p", "why"),
  );
}

function update(row, blob, bytes, rate, namesRegistry) {
  const name = namesRegistry ? `${blob.registry}/${blob.repository}` : blob.repository;
  setPath(row.querySelector("b"), name);
  setText(row.querySelector("code"), shorten(blob.digest));
  const parts = partsOf(blob.bytes, blob.sizeBytes ?? bytes);
  setText(row.querySelector(".from"), parts.map(({ label }) => label).join(" + ") || "waiting");
  const amount =
    blob.sizeBytes === null ? formatBytes(bytes) : `${formatBytes(bytes)} of ${formatBytes(blob.sizeBytes)}`;
  setText(row.querySelector(".amount"), amount);
  const left = blob.sizeBytes === null ? "" : formatLeft(blob.sizeBytes - bytes, rate);
  const pace = bytes > 0 ? `${formatBytes(rate)}/s` : `for ${formatDuration(blob.durationMs)}`;
  setText(row.querySelector(".rate"), [pace, left].filter(Boolean).join(", "));
  setNote(row.querySelector(".why"), whyOf(blob));
  updateBar(row.querySelector(".bar"), blob, bytes, parts, name);
}

function updateBar(bar, { sizeBytes, digest }, bytes, parts, name) {
  setBar(bar, sizeBytes === null ? [] : parts, `${name} ${shorten(digest)}`);
  bar.classList.toggle("unknown", sizeBytes === null);
  if (sizeBytes === null) {
    bar.removeAttribute("aria-valuenow");
    return;
  }
  const share = sizeBytes > 0 ? bytes / sizeBytes : 1;
  bar.setAttribute("aria-valuenow", String(Math.floor(share * 100)));
  bar.setAttribute("aria-valuetext", formatShare(share));
}

/** Bytes per second; of a blob that is new here, since its beginning. */
function rateOf(last, { durationMs }, bytes, nowMs) {
  if (!last) return durationMs > 0 ? (bytes * 1000) / durationMs : 0;
  if (nowMs <= last.nowMs) return last.rate;
  const now = ((bytes - last.bytes) * 1000) / (nowMs - last.nowMs);
  return last.rate * (1 - newest) + now * newest;
}
