/**
 * Getting many blobs at once. One that fails, is late or has wrong bytes is counted, and the others go on.
 */
import { execFile } from "node:child_process";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { testEnvironment } from "#test/support/environment.ts";
import { blobUrl } from "#test/support/slow-reader.ts";
import { checkFile } from "../download.ts";
import { repository } from "../rig.ts";
import type { LaidBlob } from "./blobs.ts";

const execute = promisify(execFile);

/** Which blob is asked for where. */
export interface Get {
  readonly endpoint: string;
  readonly blob: LaidBlob;
}

/** What came of many GETs. */
export interface Gotten {
  /** Until the last one was there or had failed. */
  readonly seconds: number;
  /** Of those that are right. */
  readonly bytes: number;
  /** What became of the others, one line each. */
  readonly failures: readonly string[];
}

/** GET all at once, by one curl, into files that are checked and removed when the clock has stopped. */
export async function getAll(folder: string, gets: readonly Get[]): Promise<Gotten> {
  const outputs = join(folder, `outputs-${performance.now()}`);
  await mkdir(outputs);
  const startedAtMs = performance.now();
  const lines = await curlAll(outputs, gets);
  const seconds = (performance.now() - startedAtMs) / 1000;
  const failures: string[] = [];
  let bytes = 0;
  for (const [index, { blob }] of gets.entries()) {
    const failure = await failureOf(lines[index], join(outputs, String(index)), blob);
    if (failure === undefined) bytes += blob.sizeBytes;
    else failures.push(`${blob.digest.slice(0, 15)}: ${failure}`);
  }
  await rm(outputs, { recursive: true });
  return { seconds, bytes, failures };
}

/** GET so many blobs at once, each endpoint in turn one of them, then the next ones; the seconds are added. */
export async function getInTurn(
  folder: string,
  endpoints: readonly { readonly url: string }[],
  blobs: readonly LaidBlob[],
  atOnce: number,
): Promise<Gotten> {
  const gets = blobs.map((blob, index) => ({ endpoint: endpoints[index % endpoints.length]!.url, blob }));
  const sum = { seconds: 0, bytes: 0, failures: [] as string[] };
  for (let at = 0; at < gets.length; at += atOnce) {
    const { seconds, bytes, failures } = await getAll(folder, gets.slice(at, at + atOnce));
    sum.seconds += seconds;
    sum.bytes += bytes;
    sum.failures.push(...failures);
  }
  return sum;
}

/** Below this no one waits any longer: the blobs are taken to hang. */
const bytesPerSecond = 10_000_000;
const patienceSeconds = 30;

/** Resolves with curl's exit code and message for each; a file is named by its index. */
async function curlAll(outputs: string, gets: readonly Get[]): Promise<string[]> {
  const sumBytes = gets.reduce((sum, { blob }) => sum + blob.sizeBytes, 0);
  const maxSeconds = Math.ceil(patienceSeconds + sumBytes / bytesPerSecond);
  const atOnce = ["--parallel", "--parallel-immediate", "--parallel-max", "300"];
  const report = ["-w", "%{filename_effective} %{exitcode} %{errormsg}\\n", "-m", String(maxSeconds)];
  const targets = gets.flatMap(({ endpoint, blob }, index) => [
    "-o",
    join(outputs, String(index)),
    blobUrl(endpoint, repository, blob.digest),
  ]);
  const ran = execute("curl", ["-sf", ...atOnce, ...report, ...targets], { env: testEnvironment() });
  const { stdout } = await ran.catch((err: unknown) => err as { stdout: string }); // one that failed is the exit code
  const lines: string[] = [];
  for (const line of stdout.split("\n")) {
    const [, index, result] = /\/(\d+) (\d+ .*)$/.exec(line) ?? [];
    if (index !== undefined) lines[Number(index)] = result!;
  }
  return lines;
}

async function failureOf(line: string | undefined, file: string, blob: LaidBlob): Promise<string | undefined> {
  if (line === undefined || !line.startsWith("0 ")) return `curl: ${line ?? "says nothing"}`;
  try {
    await checkFile(file, blob.digest);
    return undefined;
  } catch (err: unknown) {
    return (err as Error).message;
  }
}
