/** The tiles: bytes by source, throughput, hit ratio, store. */
import { byId, el, keep, partsOf, setBar, setText, sources, totalOf } from "./dom.js";
import { formatBytes, formatCount, formatLeft, formatShare, plural } from "./format.js";

/** Whole seconds whose mean is the throughput of now. */
const nowSeconds = 3;

export function renderOverview(status) {
  renderOrigin(status.totals);
  renderRate(status);
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
    .map((source) => ({ ...source, bytes: totals[source.name] }))
    .filter(({ name, bytes }) => name !== "peer" || bytes > 0);
  keep(
    byId("origin-list"),
    shown,
    ({ name }) => name,
    createSource,
    (item, { bytes }) => {
      setText(item.querySelector("b"), formatBytes(bytes));
      setText(item.querySelector("small"), total > 0 ? formatShare(bytes / total) : "");
    },
  );
}

function createSource({ name, label, means }) {
  return el("li", "", el("i", `dot ${name}`), el("span", "", label), el("b"), el("small"), el("span", "means", means));
}

/** The history is the client's own: a page that is opened or reloaded in the middle has all of it. */
function renderRate({ history, live, liveCount, pulls }) {
  const latest = history.slice(-nowSeconds);
  const bytesPerSecond = latest.reduce((sum, bytes) => sum + bytes, 0) / nowSeconds;
  setText(byId("rate"), `${formatBytes(bytesPerSecond)}/s`);
  const running = pulls.filter(({ outcome }) => outcome === "running").length;
  const left = live.reduce((sum, { sizeBytes, bytes }) => sum + Math.max(0, (sizeBytes ?? 0) - totalOf(bytes)), 0);
  const now = `${plural(liveCount, "blob")} in ${plural(running, "pull")}`;
  const said =
    liveCount === 0 ? "nothing is being pulled" : [now, formatLeft(left, bytesPerSecond)].filter(Boolean).join(", ");
  setText(byId("rate-note"), said);
  const most = Math.max(...history);
  setText(byId("spark-note"), most > 0 ? `last 2 min, up to ${formatBytes(most)}/s` : "last 2 min");
  byId("spark").querySelector("path").setAttribute("d", sparkPath(history, most));
}

function sparkPath(history, most) {
  if (most === 0) return "";
  const step = 120 / (history.length - 1);
  const line = history.map((bytes, i) => `L${(i * step).toFixed(2)} ${(31 - (bytes / most) * 29).toFixed(2)}`).join("");
  return `M0 32${line}L120 32Z`;
}

function renderHits({ hitRatio, requests }) {
  setText(byId("hits"), hitRatio === null ? "–" : formatShare(hitRatio));
  const hits = requests.store + requests.follower;
  const share = hitRatio ?? 0;
  setBar(byId("hits-bar"), [{ name: "store", share }], hitRatio === null ? "none yet" : formatShare(share));
  const asked = hits + requests.miss;
  setText(
    byId("hits-note"),
    asked === 0 ? "no blob was asked for yet" : `${formatCount(hits)} of ${plural(asked, "blob")} needed no fetch`,
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
