/**
 * What a puller gets in a limited time.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { testEnvironment } from "#test/support/environment.ts";
import { blobUrl } from "#test/support/slow-reader.ts";
import { hashOfStart, type LaidBlob } from "../load/blobs.ts";
import { repository } from "../rig.ts";

const execute = promisify(execFile);

/** What came. */
export interface Taken {
  readonly bytes: number;
  /** From the question to the last byte, or the time limit. */
  readonly seconds: number;
}

/**
 * GET blobs at once, for so long at most.
 * @param namespace - Network namespace that is asked from. @defaultValue this process's
 * @throws Error when one fails, or its bytes are wrong
 */
export async function take(
  folder: string,
  endpoint: string,
  blobs: readonly LaidBlob[],
  maxSeconds: number,
  namespace?: string,
): Promise<Taken> {
  const outputs = join(folder, `taken-${performance.now()}`);
  await mkdir(outputs);
  const startedAtMs = performance.now();
  const files = await curl(outputs, endpoint, blobs, maxSeconds, namespace);
  const seconds = (performance.now() - startedAtMs) / 1000;
  let bytes = 0;
  for (const [index, { size, exitCode, message }] of files.entries()) {
    if (exitCode !== 0 && exitCode !== timeOut) throw new Error(`curl: ${message}`);
    await check(join(outputs, String(index)), size, blobs[index]!);
    bytes += size;
  }
  await rm(outputs, { recursive: true });
  return { bytes, seconds };
}

/** Of curl, when `-m` is over. */
const timeOut = 28;

interface File {
  readonly size: number;
  readonly exitCode: number;
  readonly message: string;
}

/** What became of each; a file is named by its index. */
async function curl(
  outputs: string,
  endpoint: string,
  blobs: readonly LaidBlob[],
  maxSeconds: number,
  namespace: string | undefined,
): Promise<File[]> {
  const atOnce = ["--parallel", "--parallel-immediate", "--parallel-max", "300"];
  const report = ["-w", "%{filename_effective} %{size_download} %{exitcode} %{errormsg}\\n", "-m", String(maxSeconds)];
  const targets = blobs.flatMap(({ digest }, index) => [
    ...["-o", join(outputs, String(index))],
    blobUrl(endpoint, repository, digest),
  ]);
  const command = ["curl", "-sf", ...atOnce, ...report, ...targets];
  const [program, ...args] = namespace === undefined ? command : ["ip", "netns", "exec", namespace, ...command];
  const ran = execute(program!, args, { env: testEnvironment() });
  const { stdout } = await ran.catch((err: unknown) => err as { stdout: string }); // what failed is said line by line
  const files: File[] = [];
  for (const [, index, size, exitCode, message] of stdout.matchAll(/\/(\d+) (\d+) (\d+) (.*)$/gm)) {
    files[Number(index)] = { size: Number(size), exitCode: Number(exitCode), message: message! };
  }
  if (files.length !== blobs.length) throw new Error(`curl says nothing of some blobs: ${stdout}`);
  return files;
}

async function check(file: string, sizeBytes: number, blob: LaidBlob): Promise<void> {
  if (sizeBytes === 0) return;
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  if (hash.digest("hex") !== (await hashOfStart(blob, sizeBytes))) throw new Error(`wrong bytes of ${blob.digest}`);
}
