/**
 * A puller on a slow machine: what it does not read yet TCP keeps from being sent.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { blobUrl } from "#test/support/slow-reader.ts";
import { repository } from "../rig.ts";
import { hashOfStart, type LaidBlob } from "./blobs.ts";

/** How a reader reads. */
export interface Pace {
  readonly bytesPerSecond: number;
  /** When it hangs up, if it is not at the end before. */
  readonly seconds: number;
}

/** What it got. */
export interface SlowRead {
  readonly bytes: number;
  /** Hexadecimal sha256 of these bytes. */
  readonly hash: string;
}

/** GET at this pace. @throws Error when it is refused or broken off */
export async function readSlowly(url: string, { bytesPerSecond, seconds }: Pace): Promise<SlowRead> {
  const hash = createHash("sha256");
  let bytes = 0;
  const signal = AbortSignal.timeout(seconds * 1000);
  try {
    const [response] = (await once(get(url, { agent: false, signal }), "response")) as [IncomingMessage];
    if (response.statusCode !== 200) throw new Error(`${url}: ${response.statusCode}`);
    const startedAtMs = performance.now();
    for await (const piece of response) {
      hash.update(piece as Buffer);
      bytes += (piece as Buffer).length;
      await delay(Math.max(0, (bytes / bytesPerSecond) * 1000 - (performance.now() - startedAtMs)));
    }
  } catch (err: unknown) {
    if (!signal.aborted) throw err; // else it is what hanging up looks like from this side
  }
  return { bytes, hash: hash.digest("hex") };
}

/** What readers of different blobs at once got. */
export interface SlowReads {
  /** Of each one; 0 where it failed. */
  readonly bytes: readonly number[];
  /** What became of those that failed, one line each. */
  readonly failures: readonly string[];
}

/** Read blobs at once, each at this pace, and check what came. */
export async function readAllSlowly(endpoint: string, blobs: readonly LaidBlob[], pace: Pace): Promise<SlowReads> {
  const reads = await Promise.allSettled(
    blobs.map(({ digest }) => readSlowly(blobUrl(endpoint, repository, digest), pace)),
  );
  const failures: string[] = [];
  const bytes: number[] = [];
  for (const [index, read] of reads.entries()) {
    const failure = await failureOf(read, blobs[index]!);
    bytes.push(failure === undefined && read.status === "fulfilled" ? read.value.bytes : 0);
    if (failure !== undefined) failures.push(`slow reader ${index}: ${failure}`);
  }
  return { bytes, failures };
}

async function failureOf(read: PromiseSettledResult<SlowRead>, blob: LaidBlob): Promise<string | undefined> {
  if (read.status === "rejected") return (read.reason as Error).message;
  const { bytes, hash } = read.value;
  return hash === (await hashOfStart(blob, bytes)) ? undefined : `wrong bytes among the first ${bytes}`;
}
