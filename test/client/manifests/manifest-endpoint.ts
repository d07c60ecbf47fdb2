import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import pino from "pino";
import { Registry } from "prom-client";
import { memoryContents } from "#client/manifests/contents.ts";
import { ManifestCache } from "#client/manifests/manifest-cache.ts";
import type { ServedManifest } from "#client/manifests/manifest-request.ts";
import { createManifestRoute, type ManifestServices } from "#client/manifests/manifest-route.ts";
import { createPingRoute } from "#client/manifests/ping-route.ts";
import type { OfflinePolicy } from "#client/registries/client-config.ts";
import { createClientMetrics } from "#client/status/metrics.ts";
import { createProxy } from "#client/upstream/proxy.ts";
import { type AskOptions, createAsk } from "#client/upstream/upstream-question.ts";
import { parseManifestPath } from "#oci/reference.ts";
import { RegistryClient } from "#oci/registry-client.ts";
import { listening } from "#test/support/listening.ts";
import { contextFor } from "../puller.ts";
import { type RawUpstream, startUpstream } from "../upstream/raw-upstream.ts";
import { RightsDouble } from "./rights-double.ts";

/** A small server around the manifest routes. */
export interface ManifestEndpoint extends AsyncDisposable {
  readonly url: URL;
  readonly services: ManifestServices;
  readonly cache: ManifestCache;
  readonly rights: RightsDouble;
  /** Manifests that were served whole. */
  readonly served: ServedManifest[];
  /** Messages that were logged. */
  readonly logs: string[];
}

export interface ManifestEndpointOptions extends Partial<ManifestServices> {
  readonly offline?: OfflinePolicy;
  /** @defaultValue registry.test */
  readonly registry?: string;
  readonly hidesChallenges?: boolean;
  readonly hasFallback?: boolean;
  readonly timeouts?: AskOptions;
}

/** Timeouts for upstreams that never answer; a test in which they should answer must not race against these. */
export const impatient: AskOptions = { aloneMs: 150, withCacheMs: 100, afterSilenceMs: 30 };

/** Start one on a free port; its registry is called `registry.test`. */
export async function startManifestEndpoint(
  upstreamUrl: URL,
  {
    offline = "anyone",
    registry = "registry.test",
    hidesChallenges,
    hasFallback,
    timeouts,
    ...options
  }: ManifestEndpointOptions = {},
): Promise<ManifestEndpoint> {
  const logs: string[] = [];
  const log = pino({}, { write: (line) => logs.push((JSON.parse(line) as { msg: string }).msg) });
  const upstream = new RegistryClient({ base: upstreamUrl });
  const metrics = createClientMetrics(new Registry());
  const proxy = createProxy({ upstream: upstreamUrl, registry: upstream, log, metrics, onAnswer: () => {} });
  const contents = options.contents ?? memoryContents();
  const cache = options.cache ?? new ManifestCache({ contents });
  const rights = new RightsDouble(offline);
  const served: ServedManifest[] = [];
  const services: ManifestServices = {
    upstream: proxy,
    cache,
    contents,
    rights,
    log,
    onManifest: (manifest) => served.push(manifest),
    ...options,
  };
  const ask = createAsk(proxy, timeouts);
  const serve = createManifestRoute(services, ask);
  const ping = createPingRoute({ ...services, hidesChallenges, hasFallback }, ask);
  const server = createServer((request, response) => {
    const path = request.url!.split("?", 1)[0]!;
    const manifest = request.method === "GET" || request.method === "HEAD" ? parseManifestPath(path) : undefined;
    const context = contextFor(request, response, registry);
    void (manifest ? serve(context, manifest) : ping(context));
  });
  const { port, close: closeServer } = await listening(server, () => server.closeAllConnections());
  const close = async () => {
    await closeServer();
    await Promise.all([proxy.close(), upstream.close()]);
  };
  const url = new URL(`http://127.0.0.1:${port}/`);
  return { url, services, cache, rights, served, logs, [Symbol.asyncDispose]: close };
}

/** What a registry may do to those who ask. */
export type Mood = "well" | "silent" | "broken" | { status: number; only?: string };

/** A way to a registry on which things go wrong on demand. */
export interface MoodyUpstream extends RawUpstream {
  /** `broken`: bodies end early; `only`: methods other than this one are answered well. */
  mood: Mood;
  /** Methods and paths that were asked so far, as `GET /v2/`. */
  readonly asked: string[];
}

export async function startMoodyUpstream(registry: URL): Promise<MoodyUpstream> {
  const upstream = await startUpstream((request, response) => {
    moody.asked.push(`${request.method} ${request.url}`);
    const { mood } = moody;
    if (mood === "silent") return;
    const isHit = typeof mood === "object" && (mood.only ?? request.method) === request.method;
    if (!isHit) return relay(registry, request, response, mood === "broken");
    const body = '{"errors":[{"code":"TOOMANYREQUESTS","message":"not now"}]}';
    response.writeHead(mood.status, { "retry-after": "60", "content-type": "application/json" });
    response.end(request.method === "HEAD" ? undefined : body);
  });
  const moody: MoodyUpstream = { ...upstream, mood: "well", asked: [] };
  return moody;
}

function relay(registry: URL, { url, method, headers }: IncomingMessage, response: ServerResponse, isBroken: boolean) {
  const sent = httpRequest({ host: registry.hostname, port: registry.port, path: url, method, headers, agent: false });
  sent.on("error", () => response.destroy());
  sent.on("response", (answer) => {
    response.writeHead(answer.statusCode!, answer.headers);
    if (!isBroken || method === "HEAD") return void answer.pipe(response);
    answer.once("data", (chunk: Buffer) => response.write(chunk.subarray(0, 10), () => response.destroy()));
  });
  sent.end();
}
