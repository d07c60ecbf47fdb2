/**
 * The puller's endpoint: OCI registries on this machine whose blobs come over NDN.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import type { Logger } from "pino";
import { Semaphore } from "#base/semaphore.ts";
import type { Bandwidth } from "#blob/bandwidth.ts";
import type { HedgeMode } from "#blob/hedge.ts";
import { createDirectFetcher } from "#fetch/fetcher.ts";
import { SharedFetches } from "#fetch/shared-fetches.ts";
import { RegistryError } from "#oci/errors.ts";
import type { BlobStore } from "#store/blob-store.ts";
import type { UplinkState } from "#uplinks/uplink-blobs.ts";
import { addAdminRoutes, adminPath, type CacheAdmin } from "./http/admin-routes.ts";
import { sendError } from "./http/answers.ts";
import { addStatusRoutes, type Readiness } from "./http/status-routes.ts";
import { isRegistryPath } from "./http/upstream-location.ts";
import type { BasicAuth } from "./listener/basic-auth.ts";
import { answerBrokenRequest } from "./listener/broken-request.ts";
import {
  boundPipelining,
  connectionLimits,
  defaultMaxConnections,
  keepAliveTimeoutMs,
  limitConnections,
} from "./listener/limits.ts";
import { createLoginGate } from "./listener/login-gate.ts";
import type { TlsOptions } from "./listener/tls.ts";
import { memoryContents, storedContents } from "./manifests/contents.ts";
import { type IndexFile, openIndexFile } from "./manifests/index-file.ts";
import { ManifestCache } from "./manifests/manifest-cache.ts";
import type { Mirror } from "./mirror.ts";
import { createRouter } from "./registries/router.ts";
import { createRegistryApi, type RegistryApi } from "./registry-api.ts";
import { type ClientMetrics, exposeStore } from "./status/metrics.ts";
import { PullLog } from "./status/pull-log.ts";
import { addStatusPage, isStatusPath } from "./status/status-page.ts";

/** What the endpoint is made of; everything passed in stays the caller's to close. */
export interface ClientAppOptions {
  /** By their name in the configuration. */
  mirrors: ReadonlyMap<string, Mirror>;
  /** The registry of names without one. */
  defaultRegistry: string;
  /** Without it nothing is cached but manifests, in memory. */
  store?: BlobStore | undefined;
  log: Logger;
  metrics: ClientMetrics;
  readiness(): Readiness | Promise<Readiness>;
  /** An upstream that sends nothing for this long in the middle of a blob is broken off. @defaultValue 15000 */
  stallTimeoutMs?: number | undefined;
  /** When the upstream is asked as well because NDN is late. @defaultValue auto */
  hedge?: HedgeMode | undefined;
  /** Limits for all pullers together. @defaultValue none */
  bandwidth?: { readonly upstream: Bandwidth | undefined; readonly ndn: Bandwidth | undefined };
  tls?: TlsOptions | undefined;
  /** Given, everybody needs a login of the endpoint. */
  login?: BasicAuth | undefined;
  /** @defaultValue 1024 */
  maxConnections?: number | undefined;
  /** What the status page shows and to whom; @defaultValue to this machine */
  status?: {
    readonly version?: string;
    readonly for?: "local" | "everyone";
    readonly hostNames?: readonly string[];
    readonly uplinks?: () => readonly UplinkState[];
  };
}

/** The endpoint, to be listened with by the caller. */
export interface ClientApp {
  readonly app: FastifyInstance;
  /** Take no new requests, let running ones end for `graceMs`, then break them off. */
  shutdown(graceMs: number): Promise<void>;
}

/** Upstream GETs at a time that are made only because NDN is late. */
const maxHedges = 8;
// Larger pieces per write(2); also what may wait in memory for a slow puller.
const responseBufferBytes = 256 * 1024;

export async function createClientApp(options: ClientAppOptions): Promise<ClientApp> {
  const { log, metrics, store, status = {} } = options;
  const pulls = new PullLog({ onPull: () => metrics.pulls.inc() });
  const cached = await openCached(options);
  const hedges = new Semaphore(maxHedges);
  const apis = new Map(
    [...options.mirrors].map(([name, mirror]) => [name, createApi(mirror, options, cached, { pulls, hedges })]),
  );
  const serve = routeTo(apis, options);
  const app = createServer(options);
  const isTaken = boundPipelining(log);
  app.addHook("onRequest", async ({ raw }, reply) => {
    if (!isTaken(raw, reply.raw)) reply.hijack();
  });
  if (options.login) {
    const gate = createLoginGate(options.login, log);
    app.addHook("onRequest", async ({ raw }, reply) => {
      if (!(await gate(raw, reply.raw))) reply.hijack();
    });
  }
  // Served before fastify looks at the body: media types that it cannot parse are the upstream's as well.
  const onRequest = async (
    { raw, originalUrl }: { raw: IncomingMessage; originalUrl: string },
    reply: FastifyReply,
  ) => {
    reply.hijack();
    raw.url = originalUrl;
    await serve(raw, reply.raw);
  };
  app.all("/v2/", { onRequest }, () => {});
  app.setNotFoundHandler(async (request, reply) => {
    // Methods that the router does not know are the upstream's to judge as well.
    if (isRegistryPath(request.originalUrl)) return onRequest(request, reply);
    reply.hijack();
    sendError(reply.raw, new RegistryError("NAME_UNKNOWN", "there is only /v2/ here"));
  });
  addStatusRoutes(app, metrics.registry, () => options.readiness());
  if (store) addAdminRoutes(app, store satisfies CacheAdmin, log);
  const use = () => store && { usedBytes: store.usedBytes, maxBytes: store.maxBytes, blobs: store.count };
  exposeStore(metrics.registry, use);
  const sources = {
    version: status.version ?? "",
    listen: () => app.listeningOrigin,
    registries: () => [...options.mirrors].map(([name, { config }]) => ({ name, upstream: config.upstream })),
    pulls,
    metrics,
    store: use,
    uplinks: status.uplinks ?? (() => []),
  };
  // Whoever has come through the gate is a user.
  const statusFor = options.login ? "everyone" : status.for;
  await addStatusPage(app, sources, { statusFor, hostNames: status.hostNames });
  app.addHook("onClose", async () => {
    await cached.fetches?.close();
    for (const api of apis.values()) await api.close();
    await cached.index?.close();
  });
  await app.ready();
  limitConnections(app.server, options.maxConnections ?? defaultMaxConnections, log, () =>
    metrics.connectionsDropped.inc(),
  );
  // Out of descriptors, for example: one puller is not served, the others are. Errors before that are the caller's.
  const onError = (err: Error) => log.error({ err }, "accepting a connection failed");
  app.server.once("listening", () => app.server.on("error", onError));
  return { app, shutdown: (graceMs) => shutdown(app, graceMs) };
}

/** No route has a schema; without this fastify loads 5 MB of compilers for them. */
const noSchemas = { compilersFactory: { buildValidator: refuseSchema, buildSerializer: refuseSchema } };

function refuseSchema(): never {
  throw new Error("routes have no schemas here");
}

function createServer({ tls }: ClientAppOptions): FastifyInstance {
  const limits = { ...connectionLimits, highWaterMark: responseBufferBytes };
  const common = {
    logger: false as const,
    requestTimeout: 0,
    bodyLimit: Number.MAX_SAFE_INTEGER,
    exposeHeadRoutes: false,
    keepAliveTimeout: keepAliveTimeoutMs,
    clientErrorHandler: answerBrokenRequest,
    schemaController: noSchemas,
    rewriteUrl: ({ url = "" }: IncomingMessage) => routed(url),
  };
  // What is behind it is the same for both; only the types are not.
  const app = (tls
    ? fastify({ ...common, https: { ...limits, ...tls } })
    : fastify({ ...common, http: limits })) as unknown as FastifyInstance;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, _payload, done) => done(null));
  return app;
}

/** The router decodes and may refuse; paths of the registry are the upstream's to judge, from their raw text. */
function routed(url: string): string {
  if (isRegistryPath(url)) return "/v2/";
  const [path = ""] = url.split("?", 1);
  const isOurs = isStatusPath(url) || path === adminPath || path.startsWith(`${adminPath}/`) || /^\/[a-z]+$/.test(path);
  return isOurs ? url : "/-/unknown";
}

/** What is cached here, of all registries. */
interface Cached {
  readonly fetches: SharedFetches | undefined;
  readonly manifestCache: ManifestCache;
  readonly contents: ReturnType<typeof memoryContents>;
  readonly index: IndexFile | undefined;
}

async function openCached({ store, log, metrics }: ClientAppOptions): Promise<Cached> {
  const contents = store ? storedContents(store, log) : memoryContents();
  const manifestCache = new ManifestCache({ contents });
  const index = store && (await openIndexFile({ directory: store.directory, cache: manifestCache, log }));
  const fetches = store && new SharedFetches(store, log, (running) => metrics.fetchesInFlight.set(running));
  return { fetches, manifestCache, contents, index };
}

function createApi(
  mirror: Mirror,
  options: ClientAppOptions,
  cached: Cached,
  { pulls, hedges }: { pulls: PullLog; hedges: Semaphore },
): RegistryApi {
  const { store, log, metrics, stallTimeoutMs, bandwidth = { upstream: undefined, ndn: undefined } } = options;
  const { fetches, manifestCache, contents } = cached;
  const direct = () => createDirectFetcher((change) => metrics.fetchesInFlight.inc(change));
  const fetcher = fetches?.of(mirror.config) ?? direct();
  const hedge = { mode: options.hedge ?? "auto", limit: hedges };
  const hidesChallenges = options.login !== undefined;
  const common = { log, metrics, pulls, bandwidth, stallTimeoutMs, hedge, hidesChallenges };
  return createRegistryApi(mirror, { ...common, fetcher, store, manifestCache, contents });
}

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

function routeTo(apis: ReadonlyMap<string, RegistryApi>, options: ClientAppOptions): Handler {
  const router = createRouter({ default: options.defaultRegistry, registries: options.mirrors });
  return async (request, response) => {
    const route = router(request.url!);
    if ("refused" in route) sendError(response, new RegistryError("NAME_UNKNOWN", route.refused));
    else await apis.get(route.registry)!.answer(request, response, route);
  };
}

async function shutdown(app: FastifyInstance, graceMs: number): Promise<void> {
  const timer = setTimeout(() => app.server.closeAllConnections(), graceMs);
  try {
    await app.close();
  } finally {
    clearTimeout(timer);
  }
}
