import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import fastify from "fastify";
import { Registry } from "prom-client";
import type { SourceName } from "#blob/source.ts";
import type { StatusAccess } from "#client/status/access.ts";
import type { RegistryHealth } from "#client/status/health.ts";
import { type ClientMetrics, createClientMetrics, type StoreUse } from "#client/status/metrics.ts";
import { PullLog } from "#client/status/pull-log.ts";
import type { PullKey } from "#client/status/pull-view.ts";
import type { StatusSources } from "#client/status/snapshot.ts";
import { addStatusPage } from "#client/status/status-page.ts";
import type { UplinkState } from "#uplinks/uplink-blobs.ts";

/** A listener that has nothing but the status page, and what it shows. */
export interface StatusStage extends AsyncDisposable {
  readonly url: URL;
  readonly pulls: PullLog;
  readonly metrics: ClientMetrics;
  /** Time of `pulls`, on top of what really passes. */
  readonly clock: { ms: number };
  store: StoreUse | undefined;
  uplinks: UplinkState[];
  registries: { name: string; upstream: URL }[];
  /** What is known of the registries. */
  health: { registries: RegistryHealth[]; ready: boolean; missing: string[]; look(): void };
  /** Stop answering. */
  stop(): Promise<void>;
  /** Answer again, on the same port. */
  restart(): Promise<void>;
}

/** Start on a free port. */
export async function startStatus(access: StatusAccess = {}): Promise<StatusStage> {
  const metrics = createClientMetrics(new Registry());
  const clock = { ms: 0 };
  const pulls = new PullLog({
    begun: metrics.pulls,
    clock: { now: () => performance.now() + clock.ms, date: () => Date.now() + clock.ms },
  });
  const stage = {
    pulls,
    metrics,
    clock,
    store: undefined as StoreUse | undefined,
    uplinks: [] as UplinkState[],
    registries: [{ name: "docker.io", upstream: new URL("https://user:secret@registry.example/") }],
    health: { registries: [] as RegistryHealth[], ready: true, missing: [] as string[], look: () => {} },
  };
  let listening = await listen(stage, access, 0);
  const url = new URL(`http://127.0.0.1:${listening.port}/`);
  return Object.assign(stage, {
    url,
    stop: () => listening.close(),
    async restart() {
      listening = await listen(stage, access, Number(url.port));
    },
    [Symbol.asyncDispose]: () => listening.close(),
  });
}

type Shown = Pick<StatusStage, "pulls" | "metrics" | "store" | "uplinks" | "registries" | "health">;

async function listen(stage: Shown, access: StatusAccess, port: number) {
  const sources: StatusSources = {
    version: "1.2.3",
    listen: () => "http://127.0.0.1:5000",
    registries: () => stage.registries,
    pulls: stage.pulls,
    metrics: stage.metrics,
    store: () => stage.store,
    uplinks: () => stage.uplinks,
    health: stage.health,
  };
  const app = fastify({ logger: false, exposeHeadRoutes: false, forceCloseConnections: true });
  await addStatusPage(app, sources, access);
  await app.listen({ port, host: "127.0.0.1" });
  return { port: (app.server.address() as AddressInfo).port, close: () => app.close() };
}

/** A puller's requests, all for one repository. */
export const puller = { client: "127.0.0.1", registry: "docker.io", repository: "library/alpine" } as const;

/** A digest made of one hexadecimal digit. */
export function digestOf(digit: string): string {
  return `sha256:${digit.repeat(64)}`;
}

/** A manifest request that is answered at once. */
export function askManifest(
  pulls: PullLog,
  { status, ...question }: PullKey & { reference: string; method?: string; status: number },
): void {
  pulls.asked(question)({ status });
}

/** How a registry is, when all is well. */
export function healthy(name: string, changed: Partial<RegistryHealth> = {}): RegistryHealth {
  const ndn = { ndn: "answers", ndnTrouble: null, prefix: "/example/registry" } as const;
  return { name, upstream: "answers", upstreamTrouble: null, ...ndn, ...changed };
}

/** A blob request that proceeds as the test says. */
export function beginBlob(pulls: PullLog, request: PullKey & { digest: string }) {
  const blob: {
    bytes: Partial<Record<SourceName, number>>;
    sizeBytes: number | null;
    whyNotNdn?: string;
    reason?: string;
  } = { bytes: {}, sizeBytes: null };
  const ended = pulls.began(request, blob);
  return {
    sized(sizeBytes: number) {
      blob.sizeBytes = sizeBytes;
    },
    wrote(source: SourceName, sizeBytes: number) {
      blob.bytes[source] = (blob.bytes[source] ?? 0) + sizeBytes;
      pulls.history.add(sizeBytes);
    },
    says(words: { whyNotNdn?: string; reason?: string }) {
      Object.assign(blob, words);
    },
    ended,
  };
}

/** Ask with these headers; the answer with its text. */
export async function request(
  base: URL,
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; headers: IncomingMessage["headers"]; text: string }> {
  const sent = get({ host: base.hostname, port: base.port, path, headers, agent: false });
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  const pieces: Buffer[] = [];
  for await (const piece of answer) pieces.push(piece as Buffer);
  return { status: answer.statusCode!, headers: answer.headers, text: Buffer.concat(pieces).toString() };
}
