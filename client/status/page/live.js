/** The blobs that are being pulled now. */
import { byId, el, keep, partsOf, setBar, setPath, setText, show, totalOf } from "./dom.js";
import { formatBytes, formatDuration, formatShare, shorten } from "./format.js";

/** Bytes and time of the last update, by id: what has come since then makes the rate. */
let before = new Map();

export function renderLive({ live, liveCount, registries }, nowMs) {
  setText(byId("live-count"), liveCount > 0 ? String(liveCount) : "");
  show(byId("live-empty"), liveCount === 0);
  setText(byId("endpoint"), location.host);
  const seen = new Map();
  keep(
    byId("live"),
    live,
    ({ id }) => id,
    create,
    (row, blob) => {
      const bytes = totalOf(blob.bytes);
      update(row, blob, bytes, rateOf(before.get(blob.id), bytes, nowMs), registries.length > 1);
      seen.set(blob.id, { bytes, nowMs });
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
  setText(row.querySelector(".rate"), rate === undefined ? formatDuration(blob.durationMs) : `${formatBytes(rate)}/s`);
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

function rateOf(last, bytes, nowMs) {
  return last && nowMs > last.nowMs ? ((bytes - last.bytes) * 1000) / (nowMs - last.nowMs) : undefined;
}
