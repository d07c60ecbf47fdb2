/** Asks for the status each second while the page can be seen, and shows it. */
import { byId, setText } from "./dom.js";
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
  renderOverview(status, nowMs);
  renderLive(status, nowMs);
  renderUplinks(status);
  renderPulls(status);
}

/** @param reason - Why nothing new can be shown; empty when all is well. */
function silence(reason) {
  const isStale = reason !== "";
  document.body.classList.toggle("stale", isStale);
  setText(byId("pulse"), isStale ? "no answer" : "live");
  const since = answeredAt === undefined ? "" : ` What you see is from ${formatTime(answeredAt)}.`;
  setText(byId("banner"), isStale ? `The gateway does not answer (${reason}).${since} Asking again every second.` : "");
}
