/**
 * The rows of the table: each moves one fresh blob to a file, by one command.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { startProcess } from "#test/support/process.ts";
import { checkout, programPath } from "#test/support/programs.ts";
import { type Rig, repository } from "./rig.ts";

const execute = promisify(execFile);

/** A way to move a blob. */
export interface Row {
  readonly name: string;
  /**
   * Make a fresh blob and everything up to the moment before the command; the returned function is what is timed.
   * `sha256` is what the file must hash to.
   */
  prepare(rig: Rig, sizeBytes: number, file: string): Promise<Prepared>;
}

/** One round of one row. */
export interface Prepared {
  readonly digest: string;
  transfer(): Promise<void>;
  cleanUp?(): Promise<void>;
}

/** All rows, the product's first. */
export const rows: readonly Row[] = [
  httpRow("server, ndnd, client", (rig) => rig.throughForwarder.url),
  httpRow("server, direct face, client", (rig) => rig.overDirectFace.url),
  httpRow("server with --storage, direct face, client", (rig) => rig.fromStorage.url),
  httpRow("straight from the registry", (rig) => rig.registry.url),
  httpRow("docker-registry as pull-through cache", (rig) => rig.cache.url),
  producerRow("ndnd put, ndnd, ndnd cat", ndndPut, ndndCat),
  producerRow("NDNts serve(), ndnd, NDNts fetch()", ndntsServe, ndntsFetch),
];

/** Check outside the timed part that a row moved the right bytes. @throws Error */
export async function checkFile(file: string, digest: string): Promise<void> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  const found = `sha256:${hash.digest("hex")}`;
  if (found !== digest) throw new Error(`wrong bytes: ${found} instead of ${digest}`);
}

/** `curl` of a blob from an endpoint. */
export function curl(endpoint: string, digest: string, file: string): Promise<unknown> {
  return execute("curl", ["-sSf", "-o", file, `${endpoint}/v2/${repository}/blobs/${digest}`]);
}

function httpRow(name: string, endpoint: (rig: Rig) => string): Row {
  return {
    name,
    async prepare(rig, sizeBytes, file) {
      const { digest } = await rig.freshBlob(sizeBytes);
      return { digest, transfer: async () => void (await curl(endpoint(rig), digest, file)) };
    },
  };
}

type Producer = (rig: Rig, name: string, input: string) => Promise<AsyncDisposable>;
type Consumer = (rig: Rig, name: string, file: string) => Promise<unknown>;

function producerRow(name: string, produce: Producer, consume: Consumer): Row {
  return {
    name,
    async prepare(rig, sizeBytes, file) {
      const { digest, bytes } = await rig.freshBlob(sizeBytes);
      const input = join(rig.folder, "input");
      await writeFile(input, bytes);
      const object = `/bench/other/${digest.slice(7, 27)}`;
      const producer = await produce(rig, object, input);
      return {
        digest,
        transfer: async () => void (await consume(rig, object, file)),
        async cleanUp() {
          await producer[Symbol.asyncDispose]();
          await rm(input);
        },
      };
    },
  };
}

function ndndPut(rig: Rig, name: string, input: string): Promise<AsyncDisposable> {
  return startProcess({
    command: "/bin/sh",
    args: ["-c", `exec "$0" put "$1" < "$2"`, programPath("ndnd"), name, input],
    env: { NDN_CLIENT_TRANSPORT: `unix://${rig.socket}` },
    logFile: join(rig.folder, "ndnd-put.log"),
    ready: (program) => program.log().includes(`Registered route" tag=client name=${name}`),
  });
}

function ndndCat(rig: Rig, name: string, file: string): Promise<unknown> {
  const env = { ...process.env, NDN_CLIENT_TRANSPORT: `unix://${rig.socket}` };
  return execute("/bin/sh", ["-c", `exec "$0" cat "$1" > "$2"`, programPath("ndnd"), name, file], { env });
}

function ndntsServe(rig: Rig, name: string, input: string): Promise<AsyncDisposable> {
  return startProcess({
    command: process.execPath,
    args: [join(checkout, "bench/ndnts-serve.ts"), rig.socket, name, input],
    logFile: join(rig.folder, "ndnts-serve.log"),
    ready: (program) => program.log().includes(`serving ${name}`),
  });
}

function ndntsFetch(rig: Rig, name: string, file: string): Promise<unknown> {
  return execute(process.execPath, [join(checkout, "bench/ndnts-fetch.ts"), rig.socket, name, file]);
}
