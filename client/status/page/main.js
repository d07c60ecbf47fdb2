/** Asks for the status each second while the page can be seen, and shows it. */
import { byId, el, keep, setText, show } from "./dom.js";
import { formatDuration, formatTime } from "./format.js";
import { renderLive } from "./live.js";
import { renderOverview } from "./overview.js";
import { renderPulls } from "./pulls.js";
import { renderUplinks } from "./uplinks.js";

const everyMs = 1_000;
const patienceMs = 5_000;

let timer;
let isAsking = false;
let answeredAt;

document.addEventListener("visibilitychange", () => void poll());
void poll();

async function poll() {
  clearTimeout(timer);
  if (document.hidden || isAsking) return;
  isAsking = true;
  const { status, reason } = await ask();
  isAsking = false;
  if (!document.hidden) timer = setTimeout(() => void poll(), everyMs);
  silence(reason);
  if (status) render(status);
}

async function ask() {
  try {
    const answer = await fetch("/-/status.json", { cache: "no-store", signal: AbortSignal.timeout(patienceMs) });
    return answer.ok ? { status: await answer.json(), reason: "" } : { reason: `it says ${answer.status}` };
  } catch (err) {
    return { reason: err.name === "TimeoutError" ? `silent for ${patienceMs / 1000} s` : "no connection" };
  }
}

function render(status) {
  const nowMs = performance.now();
  answeredAt = Date.now();
  setText(byId("about"), `${status.version} on ${status.listen}, up ${formatDuration(status.uptimeSeconds * 1000)}`);
  renderTrouble(status);
  renderOverview(status);
  renderLive(status, nowMs);
  renderUplinks(status);
  renderPulls(status);
}

/** @param reason - Why nothing new can be shown; empty when all is well. */
function silence(reason) {
  const isStale = reason !== "";
  document.body.classList.toggle("stale", isStale);
  setText(byId("pulse"), isStale ? "no answer" : "live");
  if (!isStale) return;
  const since = answeredAt === undefined ? "" : ` What you see is from ${formatTime(answeredAt)}.`;
  showBanner("bad", `The client does not answer (${reason}).${since} Asking again every second.`, []);
}

/** What does not work, and how bad that is. */
function renderTrouble({ missing, ready }) {
  if (missing.length === 0) showBanner("", "", []);
  else if (ready) showBanner("warn", "Not everything works. Pulls go on where they can:", missing);
  else showBanner("bad", "Nothing can be pulled but what is cached:", missing);
}

function showBanner(kind, text, items) {
  const banner = byId("banner");
  show(banner, text !== "");
  banner.className = `banner ${kind}`;
  setText(byId("banner-text"), text);
  keep(
    byId("banner-list"),
    items,
    (item) => item,
    () => el("li"),
    setText,
  );
}
