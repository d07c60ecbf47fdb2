/**
 * How often the garbage collector runs in a process through which blobs flow.
 */
import { setFlagsFromString } from "node:v8";

const [major] = process.versions.node.split(".");

/**
 * Count buffers as part of the heap's growth, instead of collecting everything each time some more of them were made.
 *
 * An HTTP client makes a new buffer of every read. Without this, 100 MB from the registry cost about six full
 * collections, more CPU than all the rest of the server (`npm run bench`, row "server, direct face, client": 290 instead
 * of 350 ms of wall time; the server's CPU time fell from 360 to 150 ms).
 */
export function collectLessOften(): void {
  if (Number(major) >= 24) setFlagsFromString("--external-memory-accounted-in-global-limit");
}

/**
 * Keep the young generation small while modules are loaded, which would let it grow to 16 MB of garbage (`npm run idle`).
 * Without an end, blobs would be slower by 5 %: see {@link letYoungGenerationGrow}.
 */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
}

/** V8's default again, for the work itself. */
export function letYoungGenerationGrow(): void {
  setFlagsFromString("--semi-space-growth-factor=2");
}
