/** The outside of `probe-inside.ts`, and what the system knows of a process. */
import { readdir, readFile, readlink } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { checkout } from "#test/support/programs.ts";
import type { Holdings, ProbeRequest } from "./probe-inside.ts";

export type { Holdings } from "./probe-inside.ts";

/** Environment that a program is started with, so that it can be asked on this socket. */
export function probeEnvironment(socket: string): Record<string, string> {
  const inside = pathToFileURL(join(checkout, "test/fault/probe-inside.ts")).href;
  return { NODE_OPTIONS: `--import=${inside}`, NDN_REGISTRY_TEST_PROBE: socket };
}

/** Ask a program what it holds. */
export async function askProbe(path: string, request: ProbeRequest = {}): Promise<Holdings> {
  const socket = connect(path);
  socket.setTimeout(5_000, () => socket.destroy(new Error(`${path} does not answer`)));
  socket.write(`${JSON.stringify(request)}\n`);
  const pieces: Buffer[] = [];
  for await (const piece of socket) pieces.push(piece as Buffer);
  return JSON.parse(Buffer.concat(pieces).toString()) as Holdings;
}

/** What the open descriptors of a process are: a kind such as `socket`, or a path; each as often as it is open. */
export async function descriptorsOf(pid: number): Promise<string[]> {
  const folder = `/proc/${pid}/fd`;
  const links = (await readdir(folder)).map((fd) => readlink(join(folder, fd)).catch(() => undefined));
  const targets = (await Promise.all(links)).filter((target) => target !== undefined);
  // libuv keeps "/" open from the first time that it ran out of descriptors, to have one to give away the next time.
  const own = targets.filter((target) => target !== "/" && !isCachedBlob(target));
  return own.map((target) => target.replace(/:\[\d+\]$/, "")).sort();
}

/** The client's store keeps the files of the blobs that were used last open, a bounded number (client/store/open-files.ts). */
function isCachedBlob(target: string): boolean {
  return /\/cache\/blobs\/sha256\/[0-9a-f]{64}$/.test(target);
}

/** Resident memory of a process in bytes: what it has now, or the most that it ever had. */
export async function residentBytes(pid: number, which: "VmRSS" | "VmHWM" = "VmRSS"): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`^${which}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0) * 1024;
}
