/**
 * The project's own two programs as real processes, the way an operator runs them.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { parseMetrics, type Samples, sumOf } from "./metrics.ts";
import { type RunningProcess, startProcess } from "./process.ts";
import { checkout } from "./programs.ts";

/** What both programs are started with. */
export interface ProgramOptions {
  /** Folder for the log, the keychain and the state. */
  readonly folder: string;
  /** Command line after the verb, without `--listen` and `--status`. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The checkout whose program it is. @defaultValue this one */
  readonly checkout?: string | undefined;
  /** `user:password` for asking it how it is, where everyone needs one. */
  readonly login?: string;
  /** Port of the HTTP endpoint, or of the server's status page. @defaultValue a free one */
  readonly port?: number;
  /** Whether it is enough that it answers, for example while its upstream is down. @defaultValue false */
  readonly mayBeUnready?: boolean;
}

/** A running server or client. */
export interface RunningProgram extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` of the client's endpoint, or of the server's status page. */
  readonly url: string;
  /** `127.0.0.1:PORT`, as in an image's name. */
  readonly host: string;
  readonly process: RunningProcess;
  metrics(): Promise<Samples>;
  /** What `/readyz` says does not work; a server is ready before its prefix is registered, a client before its uplink is up. */
  missing(): Promise<readonly string[]>;
}

/** Start `ndn-registry server`; resolves when it says that it is ready. */
export async function startServer(options: ProgramOptions): Promise<RunningProgram> {
  const own = ["--keychain", join(options.folder, "keychain"), "--state", join(options.folder, "state")];
  return startVerb("server", options, "--status", own);
}

/** Start `ndn-registry client`; resolves when its endpoint answers. */
export async function startClient(options: ProgramOptions): Promise<RunningProgram> {
  return startVerb("client", options, "--listen", []);
}

/** Start `ndn-registry start`, both halves in one process; what it keeps lies under the folder. */
export async function startBothHalves(options: ProgramOptions): Promise<RunningProgram> {
  return startVerb("start", options, "--listen", []);
}

/** Bytes of blobs that a client has handed out, by where they came from. */
export async function blobBytes(client: RunningProgram): Promise<{ ndn: number; upstream: number; store: number }> {
  const samples = await client.metrics();
  const from = (source: string) => sumOf(samples, "ndn_registry_blob_bytes_total", { source });
  return { ndn: from("ndn"), upstream: from("upstream"), store: from("store") };
}

/** Payload that a server has sent since it was started, in bytes. */
export async function payloadSent(server: RunningProgram): Promise<number> {
  return sumOf(await server.metrics(), "ndn_registry_server_payload_bytes_total");
}

/** What npm installs as `ndn-registry`. */
function executableOf(folder: string): string {
  const { bin } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { bin: { "ndn-registry": string } };
  return join(folder, bin["ndn-registry"]);
}

async function startVerb(
  verb: string,
  options: ProgramOptions,
  portOption: string,
  own: readonly string[],
): Promise<RunningProgram> {
  const host = `127.0.0.1:${options.port ?? (await freePort())}`;
  const url = `http://${host}`;
  const { login } = options;
  const headers = login ? { authorization: `Basic ${Buffer.from(login).toString("base64")}` } : {};
  const ask = (path: string) => fetch(`${url}${path}`, { headers });
  const program = await startProcess({
    command: process.execPath,
    args: [executableOf(options.checkout ?? checkout), verb, portOption, host, ...own, ...options.args],
    cwd: options.folder,
    env: options.env ?? {},
    logFile: join(options.folder, `${verb}.log`),
    ready: async () => (await ask("/readyz")).ok || options.mayBeUnready === true,
  });
  return {
    url,
    host,
    process: program,
    metrics: async () => parseMetrics(await (await ask("/metrics")).text()),
    missing: async () => ((await (await ask("/readyz")).json()) as { missing: string[] }).missing,
    [Symbol.asyncDispose]: () => program.stop(),
  };
}
