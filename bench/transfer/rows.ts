/**
 * The rows of "transfer": each moves one fresh blob to a file, by one command.
 */
import { execFile } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { testEnvironment } from "#test/support/environment.ts";
import { type RunningProcess, startProcess } from "#test/support/process.ts";
import { checkout, programPath } from "#test/support/programs.ts";
import type { RunningProgram } from "#test/support/running-program.ts";
import { curl } from "../download.ts";
import type { Rig } from "../rig.ts";
import type { Processes } from "../usage.ts";
import type { TransferRig } from "./rig.ts";

const execute = promisify(execFile);

/** A path for a blob. */
export interface Row {
  readonly name: string;
  /** The client whose bytes have to come over NDN, in the product's rows. */
  client?(paths: TransferRig): RunningProgram;
  /** Make a fresh blob and everything up to the moment before the command. */
  prepare(paths: TransferRig, sizeBytes: number, file: string): Promise<Prepared>;
}

/** One round of one row. */
export interface Prepared {
  /** What the file must hash to. */
  readonly digest: string;
  /** Who works for it and lives on. */
  readonly processes: Processes;
  /** This is timed. */
  transfer(): Promise<void>;
  cleanUp?(): Promise<void>;
}

/** Names that comments in the hot path and ratios refer to. */
export const rowNames = {
  forwarder: "server, ndnd, client",
  direct: "server, direct face, client",
  storage: "server with --storage, direct face, client",
  straight: "straight from the registry",
  cache: "docker-registry as pull-through cache",
  ndnd: "ndnd put, ndnd, ndnd cat",
  ndnts: "NDNts serve(), ndnd, NDNts fetch()",
} as const;

/** The rows that go through our programs. */
export const ourRows: readonly Row[] = [
  productRow(rowNames.forwarder, (paths) => ({
    server: paths.server,
    client: paths.throughForwarder,
    others: { ndnd: paths.rig.forwarder, registry: paths.rig.registry.process },
  })),
  productRow(rowNames.direct, (paths) => ({
    server: paths.server,
    client: paths.overDirectFace,
    others: { registry: paths.rig.registry.process },
  })),
  productRow(rowNames.storage, (paths) => ({ server: paths.storageServer, client: paths.fromStorage, others: {} })),
];

/** All rows, ours first. */
export const rows: readonly Row[] = [
  ...ourRows,
  httpRow(rowNames.straight, ({ rig }) => [rig.registry.url, { registry: rig.registry.process }]),
  httpRow(rowNames.cache, ({ rig, cache }) => [cache.url, { cache: cache.process, registry: rig.registry.process }]),
  producerRow(rowNames.ndnd, ndndPut, ndndCat),
  producerRow(rowNames.ndnts, ndntsServe, ndntsFetch),
];

type Pair = (paths: TransferRig) => { server: RunningProgram; client: RunningProgram; others: Processes };

function productRow(name: string, pair: Pair): Row {
  const http = httpRow(name, (paths) => {
    const { server, client, others } = pair(paths);
    return [client.url, { server: server.process, client: client.process, ...others }];
  });
  return { ...http, client: (paths) => pair(paths).client };
}

function httpRow(name: string, endpoint: (paths: TransferRig) => [url: string, processes: Processes]): Row {
  return {
    name,
    async prepare(paths, sizeBytes, file) {
      const { digest } = await paths.rig.freshBlob(sizeBytes);
      const [url, processes] = endpoint(paths);
      return { digest, processes, transfer: () => curl([{ endpoint: url, digest, file }]) };
    },
  };
}

type Producer = (rig: Rig, name: string, input: string) => Promise<RunningProcess>;
type Consumer = (rig: Rig, name: string, file: string) => Promise<unknown>;

function producerRow(name: string, produce: Producer, consume: Consumer): Row {
  return {
    name,
    async prepare({ rig }, sizeBytes, file) {
      const { digest, bytes } = await rig.freshBlob(sizeBytes);
      const input = join(rig.folder, "input");
      await writeFile(input, bytes);
      const object = `/bench/other/${digest.slice(7, 27)}`;
      const producer = await produce(rig, object, input);
      return {
        digest,
        processes: { producer, ndnd: rig.forwarder },
        transfer: async () => void (await consume(rig, object, file)),
        async cleanUp() {
          await producer.stop();
          await rm(input);
        },
      };
    },
  };
}

function ndndPut(rig: Rig, name: string, input: string): Promise<RunningProcess> {
  return startProcess({
    command: "/bin/sh",
    args: ["-c", `exec "$0" put "$1" < "$2"`, programPath("ndnd"), name, input],
    env: { NDN_CLIENT_TRANSPORT: rig.uplink },
    logFile: join(rig.folder, "ndnd-put.log"),
    ready: (program) => program.log().includes(`Registered route" tag=client name=${name}`),
  });
}

function ndndCat(rig: Rig, name: string, file: string): Promise<unknown> {
  const env = testEnvironment({ NDN_CLIENT_TRANSPORT: rig.uplink });
  return execute("/bin/sh", ["-c", `exec "$0" cat "$1" > "$2"`, programPath("ndnd"), name, file], { env });
}

function ndntsServe(rig: Rig, name: string, input: string): Promise<RunningProcess> {
  return startProcess({
    command: process.execPath,
    args: [join(checkout, "bench/transfer/ndnts.ts"), "serve", rig.socket, name, input],
    logFile: join(rig.folder, "ndnts-serve.log"),
    ready: (program) => program.log().includes(`serving ${name}`),
  });
}

function ndntsFetch(rig: Rig, name: string, file: string): Promise<unknown> {
  const args = [join(checkout, "bench/transfer/ndnts.ts"), "fetch", rig.socket, name, file];
  return execute(process.execPath, args, { env: testEnvironment() });
}
