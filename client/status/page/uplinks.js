/** The paths to the outside: NDN uplinks, and upstream registries with their quota. */
import { byId, el, keep, setText, show } from "./dom.js";
import { formatCount, formatShare } from "./format.js";

const states = { up: "up", resting: "no one answers", down: "down" };

export function renderUplinks({ uplinks, registries }) {
  show(byId("uplinks-empty"), uplinks.length === 0);
  keep(byId("uplinks"), uplinks.map(withKey), ({ key }) => key, createUplink, updateUplink);
  keep(byId("registries"), registries, ({ name }) => name, createRegistry, updateRegistry);
}

// Two uplinks may have the same name.
function withKey(uplink, i) {
  return { ...uplink, key: `${i} ${uplink.describe}` };
}

function createUplink() {
  const facts = ["RTT", "Window", "Interests", "Sent again", "Nacks"].map((label) =>
    el("div", "", el("dt", "", label), el("dd")),
  );
  return el("li", "", el("p", "", el("span", "state"), el("code")), el("dl", "facts", ...facts));
}

function updateUplink(row, uplink) {
  const state = !uplink.up ? "down" : uplink.isResting ? "resting" : "up";
  const label = row.querySelector(".state");
  label.className = `state ${state}`;
  setText(label, states[state]);
  setText(row.querySelector("code"), uplink.describe);
  const { interests, retransmissions } = uplink;
  const values = [
    uplink.rttMs > 0 ? `${uplink.rttMs < 10 ? uplink.rttMs.toFixed(1) : Math.round(uplink.rttMs)} ms` : "–",
    formatCount(uplink.window),
    formatCount(interests),
    interests > 0 ? formatShare(retransmissions / interests) : "–",
    formatCount(uplink.nacks),
  ];
  for (const [i, dd] of row.querySelectorAll("dd").entries()) setText(dd, values[i]);
}

function createRegistry() {
  return el("li", "", el("b"), el("code"), el("span", "quota"));
}

function updateRegistry(row, { name, upstream, rateLimit }) {
  setText(row.querySelector("b"), name);
  setText(row.querySelector("code"), upstream);
  const quota = row.querySelector(".quota");
  show(quota, rateLimit !== null);
  if (rateLimit === null) return;
  const { limit, remaining } = rateLimit;
  quota.classList.toggle("low", remaining <= limit / 10);
  setText(quota, `${formatCount(remaining)} of ${formatCount(limit)} pulls left`);
}
