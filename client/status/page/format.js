/** Numbers as people read them. */

/** `12.3 MiB`; the units that options and `ndn-registry cache` have. */
export function formatBytes(bytes) {
  let [value, unit] = [bytes, "B"];
  for (const larger of ["KiB", "MiB", "GiB", "TiB", "PiB"]) {
    // What would be shown as 1024 is 1 of the next unit.
    if (value < 1023.5) break;
    [value, unit] = [value / 1024, larger];
  }
  return `${unit === "B" || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${unit}`;
}

/** `0.4 s`, `12 s`, `3 min 05 s`, `2 h 14 min`, `3 d 4 h`. */
export function formatDuration(ms) {
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** When something will have come, of which these bytes are left: `about 12 s left`; empty when no one can tell. */
export function formatLeft(bytes, bytesPerSecond) {
  const seconds = Math.ceil(bytes / bytesPerSecond);
  if (!(bytes > 0) || !(seconds < 86_400)) return "";
  return `about ${seconds < 60 ? `${seconds} s` : formatDuration(seconds * 1000)} left`;
}

/** `83 %`; never 0 or 100 for what is only nearly so. */
export function formatShare(share) {
  if (share > 0 && share < 0.01) return "< 1 %";
  if (share < 1 && share > 0.99) return "> 99 %";
  return `${Math.round(share * 100)} %`;
}

/** `12,345`. */
export function formatCount(count) {
  return count.toLocaleString("en");
}

/** `1 blob`, `12 blobs`. */
export function plural(count, noun) {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** Local time of day, with the date when it is not today. */
export function formatTime(epochMs) {
  const date = new Date(epochMs);
  const isToday = date.toDateString() === new Date().toDateString();
  const time = date.toLocaleTimeString("en-GB");
  return isToday ? time : `${date.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${time}`;
}

/** `sha256:1a2b3c4d5e6f…`, or the text itself when it is short. */
export function shorten(digest) {
  const match = /^([a-z0-9+._-]+:[0-9A-Za-z=_-]{12})[0-9A-Za-z=_-]+$/.exec(digest);
  return match ? `${match[1]}…` : digest;
}

function two(number) {
  return String(number).padStart(2, "0");
}
