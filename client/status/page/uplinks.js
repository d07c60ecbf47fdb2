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
  const facts = ["RTT", "Window", "Reads", "Interests", "Sent again", "Nacks"].map((label) =>
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
    uplink.waiting > 0 ? `${uplink.reads}, ${uplink.waiting} wait` : formatCount(uplink.reads),
    formatCount(interests),
    interests > 0 ? formatShare(retransmissions / interests) : "–",
    formatCount(uplink.nacks),
  ];
  for (const [i, dd] of row.querySelectorAll("dd").entries()) setText(dd, values[i]);
}

function createRegistry() {
  const line = (label) => el("p", `reach ${label}`, el("span", "state"), el("span", "why"));
  return el("li", "", el("p", "who", el("b"), el("code")), line("upstream"), line("ndn"), el("p", "quota"));
}

function updateRegistry(row, { name, upstream, rateLimit, health }) {
  setText(row.querySelector("b"), name);
  setText(row.querySelector("code"), upstream);
  updateReach(row.querySelector(".reach.upstream"), upstreamState(health));
  updateReach(row.querySelector(".reach.ndn"), ndnState(health));
  const quota = row.querySelector(".quota");
  show(quota, rateLimit !== null);
  if (rateLimit === null) return;
  const { limit, remaining } = rateLimit;
  quota.classList.toggle("low", remaining <= limit / 10);
  setText(quota, `${formatCount(remaining)} of ${formatCount(limit)} pulls left`);
}

function updateReach(line, { state, text, why }) {
  line.firstChild.className = `state ${state}`;
  setText(line.firstChild, text);
  setText(line.lastChild, why ?? "");
}

function upstreamState(health) {
  if (health === null || health.upstream === "unknown") return { state: "unknown", text: "Upstream: not asked yet" };
  const { upstream, upstreamTrouble: why } = health;
  if (upstream === "off") return { state: "unknown", text: "No upstream", why: "everything comes over NDN" };
  if (upstream === "answers") return { state: "up", text: "Upstream answers" };
  return upstream === "down" ? { state: "down", text: "Upstream", why } : { state: "resting", text: "Upstream", why };
}

const ndnStates = {
  answers: ["up", "NDN answers"],
  unknown: ["unknown", "NDN: nothing known yet"],
  untrusted: ["down", "NDN is not trusted"],
  silent: ["down", "NDN is silent"],
  down: ["down", "NDN is down"],
};

function ndnState(health) {
  if (health === null) return { state: "unknown", text: "NDN: nothing known yet" };
  if (health.ndn === "off")
    return { state: "unknown", text: "No NDN", why: "no name is configured: all blobs come from the upstream" };
  const [state, text] = ndnStates[health.ndn];
  return { state, text, why: health.ndnTrouble ?? `under ${health.prefix}` };
}
