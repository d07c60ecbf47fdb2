/** The table of the last pulls. */
import { byId, el, keep, partsOf, setBar, setNote, setPath, setText, show, totalOf, whyOf } from "./dom.js";
import { formatBytes, formatDuration, formatTime, shorten } from "./format.js";

const outcomes = {
  running: "running",
  complete: "complete",
  failed: "failed",
  cancelled: "cancelled",
  refused: "refused",
  checked: "up to date",
};

/** Where a manifest came from, where that is not as usual. */
const manifestNotes = { ndn: "Manifest over NDN" };

/** So many are shown on a phone until all are asked for; narrow.css knows it too. */
const fewPulls = 5;

byId("pulls-more").addEventListener("click", () => {
  const isAll = byId("pulls-table").classList.toggle("all");
  setText(byId("pulls-more"), isAll ? "Show fewer" : "Show all");
});

/** Pulls that were running at the last update, by id; undefined before the first. */
let running;

export function renderPulls({ pulls, registries }) {
  setText(byId("pulls-count"), pulls.length > 0 ? String(pulls.length) : "");
  show(byId("pulls-empty"), pulls.length === 0);
  show(byId("pulls-table"), pulls.length > 0);
  show(byId("pulls-more"), pulls.length > fewPulls);
  const namesRegistry = registries.length > 1;
  keep(
    byId("pulls"),
    pulls,
    ({ id }) => id,
    create,
    (row, pull) => update(row, pull, namesRegistry),
  );
  announce(pulls);
}

function create() {
  const cell = (label, ...children) => {
    const td = el("td", "", ...children);
    td.dataset.label = label;
    return td;
  };
  const bar = el("div", "bar thin");
  bar.setAttribute("role", "img");
  return el(
    "tr",
    "",
    cell("Began", el("time")),
    cell("Image", el("b"), el("wbr"), el("span", "reference")),
    cell("Outcome", el("span", "outcome")),
    cell("Bytes", bar, el("span", "bytes"), el("p", "why bad"), el("p", "why"), el("p", "why")),
    cell("Blobs"),
    cell("Took"),
    cell("Puller", el("code")),
  );
}

function update(row, pull, namesRegistry) {
  const [began, image, , bytes, blobs, took, client] = row.children;
  const time = began.firstChild;
  setText(time, formatTime(pull.beganAt));
  time.dateTime = new Date(pull.beganAt).toISOString();
  setPath(image.firstChild, imageOf(pull, namesRegistry));
  setText(image.lastChild, referenceOf(pull));
  const outcome = row.querySelector(".outcome");
  outcome.className = `outcome ${pull.outcome}`;
  setText(outcome, outcomes[pull.outcome] ?? pull.outcome);
  const parts = partsOf(pull.bytes);
  const said = parts.map((part) => `${part.label} ${formatBytes(part.bytes)}`).join(" · ");
  const [bar, amounts, reason, whyNotNdn, manifest] = bytes.children;
  setBar(bar, parts, "shares of the sources");
  show(bar, parts.length > 0);
  setText(amounts, said);
  setNote(reason, pull.reason);
  setNote(whyNotNdn, whyOf(pull));
  setNote(manifest, manifestNotes[pull.manifestFrom]);
  setText(blobs, blobsOf(pull.blobs));
  setText(took, formatDuration(pull.durationMs));
  setText(client.firstChild, pull.client);
}

function imageOf({ registry, repository }, namesRegistry) {
  return namesRegistry ? `${registry}/${repository}` : repository;
}

function referenceOf({ reference }) {
  if (reference === null) return "";
  return reference.includes(":") ? `@${shorten(reference)}` : `:${reference}`;
}

function blobsOf({ complete, failed, live }) {
  return [String(complete), failed > 0 ? `${failed} failed` : "", live > 0 ? `${live} live` : ""]
    .filter(Boolean)
    .join(", ");
}

/** Say once what has ended, to those who cannot see it. */
function announce(pulls) {
  const ended = pulls.filter(({ id, outcome }) => outcome !== "running" && running?.has(id));
  if (ended.length > 0) {
    const said = ended.map(
      (pull) => `${imageOf(pull, false)} ${outcomes[pull.outcome]}, ${formatBytes(totalOf(pull.bytes))}`,
    );
    setText(byId("announcer"), `Pull of ${said.join("; ")}`);
  }
  running = new Set(pulls.filter(({ outcome }) => outcome === "running").map(({ id }) => id));
}
