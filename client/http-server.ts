/**
 * The HTTP server of the endpoint: registries below `/v2/`, and the routes that are this program's own.
 */
import type { IncomingMessage, Server } from "node:http";
import fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import { RegistryError } from "#oci/errors.ts";
import type { ImageAdmin } from "./http/admin-images.ts";
import { addAdminRoutes, adminPath, type CacheAdmin } from "./http/admin-routes.ts";
import { sendError } from "./http/answers.ts";
import { isRegistryPath } from "./http/semantics.ts";
import { answerBrokenRequest } from "./listener/broken-request.ts";
import {
  boundPipelining,
  connectionLimits,
  defaultMaxConnections,
  keepAliveTimeoutMs,
  type Listening,
  limitConnections,
  listenOn,
  responseBufferBytes,
} from "./listener/listen.ts";
import { createLoginGate } from "./listener/login-gate.ts";
import type { ClientParts } from "./parts.ts";
import type { ServedRegistries } from "./served-registries.ts";
import { exposeStore } from "./status/metrics.ts";
import type { PullLog } from "./status/pull-log.ts";
import { addStatusPage, isStatusPath } from "./status/status-page.ts";

/** The endpoint's HTTP server while it listens. */
export interface HttpServer {
  /** Its addresses, see `Listening`. */
  readonly urls: readonly string[];
  readonly server: Server;
  /** Take no new requests, let running ones end for `graceMs`, then break them off. */
  close(graceMs: number): Promise<void>;
}

/**
 * Listen, and serve the registries that are served at the moment.
 *
 * @param onClosed - Called when no request runs any more.
 * @throws ListenFailed
 */
export async function openHttpServer(
  parts: ClientParts,
  served: ServedRegistries,
  { pulls, images }: { readonly pulls: PullLog; readonly images?: ImageAdmin | undefined },
  onClosed: () => Promise<void>,
): Promise<HttpServer> {
  const { log, metrics, store, tls, maxConnections = defaultMaxConnections } = parts;
  const app = createServer(parts);
  let listening: Listening | undefined;
  addGates(app, parts);
  addRegistries(app, served);
  addStatusRoutes(app, parts);
  if (store) addAdminRoutes(app, store satisfies CacheAdmin, log, images);
  await addPage(app, parts, { served, pulls, listen: () => listening?.urls.join(", ") ?? "" });
  app.addHook("preClose", () => drain(app.server, listening));
  app.addHook("onClose", onClosed);
  await app.ready();
  const admits = limitConnections(maxConnections, log, () => metrics.connectionsDropped.inc());
  listening = await listenOn(app.server, parts.listen, { admits, isTls: tls !== undefined, log });
  return { urls: listening.urls, server: app.server, close: (graceMs) => closeWithin(app, graceMs) };
}

/** Accept nothing more, and wait until no connection has a request. */
async function drain(server: Server, listening: Listening | undefined): Promise<void> {
  const timer = setInterval(() => server.closeIdleConnections(), drainLookMs);
  try {
    await listening?.close();
  } finally {
    clearInterval(timer);
  }
}

const drainLookMs = 100;

async function closeWithin(app: FastifyInstance, graceMs: number): Promise<void> {
  const timer = setTimeout(() => app.server.closeAllConnections(), graceMs);
  try {
    await app.close();
  } finally {
    clearTimeout(timer);
  }
}

/** No route has a schema; without this fastify loads 5 MB of compilers for them. */
const noSchemas = { compilersFactory: { buildValidator: refuseSchema, buildSerializer: refuseSchema } };

function refuseSchema(): never {
  throw new Error("routes have no schemas here");
}

function createServer({ tls }: Pick<ClientParts, "tls">): FastifyInstance {
  const limits = { ...connectionLimits, highWaterMark: responseBufferBytes };
  const common = {
    logger: false as const,
    requestTimeout: 0,
    bodyLimit: Number.MAX_SAFE_INTEGER,
    exposeHeadRoutes: true,
    keepAliveTimeout: keepAliveTimeoutMs,
    clientErrorHandler: answerBrokenRequest,
    schemaController: noSchemas,
    rewriteUrl: routed,
  };
  // What is behind it is the same for both; only the types are not.
  const app = (tls
    ? fastify({ ...common, https: { ...limits, ...tls } })
    : fastify({ ...common, http: limits })) as unknown as FastifyInstance;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, _payload, done) => done(null));
  return app;
}

/** What every request passes before any work is done for it. */
function addGates(app: FastifyInstance, { login, log }: ClientParts): void {
  const isTaken = boundPipelining(log);
  app.addHook("onRequest", async ({ raw }, reply) => {
    if (!isTaken(raw, reply.raw)) reply.hijack();
  });
  if (!login) return;
  const gate = createLoginGate(login, log);
  app.addHook("onRequest", async ({ raw }, reply) => {
    if (!(await gate(raw, reply.raw))) reply.hijack();
  });
}

function addRegistries(app: FastifyInstance, served: ServedRegistries): void {
  // Served before fastify looks at the body: media types that it cannot parse are the upstream's as well.
  const onRequest = async (
    { raw, originalUrl }: { raw: IncomingMessage; originalUrl: string },
    reply: FastifyReply,
  ) => {
    reply.hijack();
    raw.url = originalUrl;
    const { route: routeOf, registries } = served.now;
    const route = routeOf(originalUrl);
    if ("refused" in route) sendError(reply.raw, new RegistryError("NAME_UNKNOWN", route.refused));
    else await registries.get(route.registry)!.handle(raw, reply.raw, route);
  };
  app.all("/v2/", { onRequest }, () => {});
  app.setNotFoundHandler(async (request, reply) => {
    // Methods that the router does not know are the upstream's to judge as well.
    if (isRegistryPath(request.originalUrl)) return onRequest(request, reply);
    reply.hijack();
    sendError(reply.raw, new RegistryError("NAME_UNKNOWN", "there is only /v2/ here"));
  });
}

/** `/healthz` (the process lives), `/readyz` (503 only when nothing can be served) and `/metrics` (Prometheus). */
function addStatusRoutes(app: FastifyInstance, { metrics: { registry }, readiness }: ClientParts): void {
  app.get("/healthz", async () => ({ status: "ok" }));
  app.get("/readyz", async (_request, reply) => {
    const { ready, missing } = await readiness();
    return reply.status(ready ? 200 : 503).send({ ready, missing });
  });
  app.get("/metrics", async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()));
}

async function addPage(
  app: FastifyInstance,
  parts: ClientParts,
  { served, pulls, listen }: { served: ServedRegistries; pulls: PullLog; listen: () => string },
): Promise<void> {
  const { metrics, store, login, status = {} } = parts;
  const use = () => store && { usedBytes: store.usedBytes, maxBytes: store.maxBytes, blobs: store.count };
  exposeStore(metrics.registry, use);
  const sources = {
    version: status.version ?? "",
    listen,
    registries: () =>
      [...served.now.registries].map(
        ([
          name,
          {
            mirror: { config },
          },
        ]) => ({ name, upstream: config.upstream }),
      ),
    pulls,
    metrics,
    store: use,
    uplinks: status.uplinks ?? (() => []),
    health: status.health,
  };
  // A puller that has come through the gate is a user.
  await addStatusPage(app, sources, { statusFor: login ? "everyone" : status.for, hostNames: status.hostNames });
}

/** The router decodes and may refuse; paths of the registry are the upstream's to judge, from their raw text. */
function routed({ url = "" }: IncomingMessage): string {
  if (isRegistryPath(url)) return "/v2/";
  const [path = ""] = url.split("?", 1);
  const isOurs = isStatusPath(url) || path === adminPath || path.startsWith(`${adminPath}/`) || /^\/[a-z]+$/.test(path);
  return isOurs ? url : "/-/unknown";
}
