/** The tiles: bytes by source, throughput, hit ratio, store. */
import { byId, el, keep, partsOf, setBar, setText, sources, totalOf } from "./dom.js";
import { formatBytes, formatCount, formatShare } from "./format.js";

const sparkSeconds = 120;
/** One value per poll: `{ atMs, bytesPerSecond }`. */
const rates = [];
let last;

export function renderOverview(status, nowMs) {
  renderOrigin(status.totals);
  renderRate(status, nowMs);
  renderHits(status);
  renderStore(status.store);
}

function renderOrigin(totals) {
  const total = totalOf(totals);
  const parts = partsOf(totals);
  setText(byId("total"), formatBytes(total));
  const said = parts.map(({ label, share }) => `${label} ${formatShare(share)}`).join(", ");
  setBar(byId("origin-bar"), parts, said === "" ? "no bytes yet" : said);
  const shown = sources
    .map(({ name, label }) => ({ name, label, bytes: totals[name] }))
    .filter(({ name, bytes }) => name !== "peer" || bytes > 0);
  keep(
    byId("origin-list"),
    shown,
    ({ name }) => name,
    ({ name, label }) => el("li", "", el("i", `dot ${name}`), el("span", "", label), el("b"), el("small")),
    (item, { bytes }) => {
      setText(item.querySelector("b"), formatBytes(bytes));
      setText(item.querySelector("small"), total > 0 ? formatShare(bytes / total) : "");
    },
  );
}

function renderRate({ totals, liveCount, pulls, uptimeSeconds }, nowMs) {
  const total = totalOf(totals);
  // A gateway that has started anew counts from 0 again.
  const isSame = last !== undefined && total >= last.total && uptimeSeconds >= last.uptimeSeconds;
  if (isSame && nowMs > last.nowMs) {
    rates.push({ atMs: nowMs, bytesPerSecond: ((total - last.total) * 1000) / (nowMs - last.nowMs) });
  }
  last = { total, uptimeSeconds, nowMs };
  while (rates.length > 0 && rates[0].atMs < nowMs - sparkSeconds * 1000) rates.shift();
  setText(byId("rate"), `${formatBytes(rates.at(-1)?.bytesPerSecond ?? 0)}/s`);
  const running = pulls.filter(({ outcome }) => outcome === "running").length;
  setText(byId("rate-note"), `${plural(liveCount, "blob")} in ${plural(running, "pull")}`);
  byId("spark").querySelector("path").setAttribute("d", sparkPath(nowMs));
}

function sparkPath(nowMs) {
  if (rates.length < 2) return "";
  const most = Math.max(1, ...rates.map(({ bytesPerSecond }) => bytesPerSecond));
  const xOf = (atMs) => (120 - ((nowMs - atMs) / (sparkSeconds * 1000)) * 120).toFixed(2);
  const yOf = (rate) => (31 - (rate / most) * 29).toFixed(2);
  const line = rates.map(({ atMs, bytesPerSecond }) => `L${xOf(atMs)} ${yOf(bytesPerSecond)}`).join("");
  return `M${xOf(rates[0].atMs)} 32${line}L${xOf(rates.at(-1).atMs)} 32Z`;
}

function renderHits({ hitRatio, requests }) {
  setText(byId("hits"), hitRatio === null ? "–" : formatShare(hitRatio));
  const hits = requests.store + requests.follower;
  const share = hitRatio ?? 0;
  setBar(byId("hits-bar"), [{ name: "store", share }], hitRatio === null ? "none yet" : formatShare(share));
  const asked = hits + requests.miss;
  setText(
    byId("hits-note"),
    asked === 0 ? "of blobs needed no fetch" : `${formatCount(hits)} of ${plural(asked, "blob")} needed no fetch`,
  );
}

function renderStore(store) {
  if (store === null) {
    setText(byId("store"), "off");
    setBar(byId("store-bar"), [], "no store");
    setText(byId("store-note"), "every blob is fetched anew");
    return;
  }
  const share = store.maxBytes > 0 ? store.usedBytes / store.maxBytes : 0;
  setText(byId("store"), formatBytes(store.usedBytes));
  setBar(byId("store-bar"), [{ name: "store", share }], `${formatShare(share)} full`);
  setText(byId("store-note"), `of ${formatBytes(store.maxBytes)}, ${plural(store.blobs, "blob")}`);
}

function plural(count, noun) {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}
