/**
 * The puller's endpoint: an OCI registry on this machine whose blobs come over NDN.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import type { Logger } from "pino";
import { RegistryError } from "#oci/errors.ts";
import { canonicalRegistry, parseBlobPath } from "#oci/reference.ts";
import type { RegistryClient } from "#oci/registry-client.ts";
import { sendError } from "./answers.ts";
import { isConditional } from "./blob-range.ts";
import { createBlobRoute } from "./blob-route.ts";
import { createDistrust } from "./distrust.ts";
import type { ClientMetrics } from "./metrics.ts";
import type { NdnBlobs } from "./ndn-blobs.ts";
import { createProxy } from "./proxy.ts";
import { createRights } from "./rights/rights.ts";
import { addStatusRoutes, type Readiness } from "./status-routes.ts";
import { isRegistryPath } from "./upstream-location.ts";

/** What the endpoint is made of; everything passed in stays the caller's to close. */
export interface ClientAppOptions {
  /** Base URL of the registry for everything that does not come over NDN. */
  upstream: URL;
  /** A client of the same registry. */
  registry: RegistryClient;
  /** Without it every blob comes from the upstream. */
  ndn?: NdnBlobs | undefined;
  /** Whether the upstream decides who may have what comes over NDN. */
  authorize: "upstream" | "none";
  log: Logger;
  metrics: ClientMetrics;
  readiness(): Readiness | Promise<Readiness>;
  /** An upstream that sends nothing for this long in the middle of a blob is broken off. @defaultValue 30000 */
  stallTimeoutMs?: number | undefined;
}

/** The endpoint, to be listened with by the caller. */
export interface ClientApp {
  readonly app: FastifyInstance;
  /** Take no new requests, let running ones end for `graceMs`, then break them off. */
  shutdown(graceMs: number): Promise<void>;
}

// Larger pieces per write(2); also what may wait in memory for a slow puller.
const responseBufferBytes = 256 * 1024;

export async function createClientApp(options: ClientAppOptions): Promise<ClientApp> {
  const { upstream, log, metrics } = options;
  const proxy = createProxy(upstream, log, metrics);
  const serve = createRegistryApi(options, proxy.forward);
  const app = fastify({
    logger: false,
    requestTimeout: 0,
    bodyLimit: Number.MAX_SAFE_INTEGER,
    exposeHeadRoutes: false,
    http: { highWaterMark: responseBufferBytes },
    // The router decodes and may refuse; paths of the registry are the upstream's to judge, from their raw text.
    rewriteUrl: ({ url = "" }) => (isRegistryPath(url) ? "/v2/" : /^\/[a-z]+(?:\?|$)/.test(url) ? url : "/"),
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, _payload, done) => done(null));
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
  app.setNotFoundHandler(async (_request, reply) => {
    reply.hijack();
    sendError(reply.raw, new RegistryError("NAME_UNKNOWN", "there is only /v2/ here"));
  });
  addStatusRoutes(app, metrics.registry, () => options.readiness());
  app.addHook("onClose", () => proxy.close());
  await app.ready();
  // Out of descriptors, for example: one puller is not served, the others are. Errors before that are the caller's.
  const onError = (err: Error) => log.error({ err }, "accepting a connection failed");
  app.server.once("listening", () => app.server.on("error", onError));
  return { app, shutdown: (graceMs) => shutdown(app, graceMs) };
}

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** Everything under `/v2/`: is it for this registry, and is it a blob? */
function createRegistryApi(options: ClientAppOptions, forward: Handler): Handler {
  const { registry, ndn, authorize, metrics, log, stallTimeoutMs } = options;
  const host = canonicalRegistry(options.upstream.host);
  const authorization = createRights({ registry, registryHost: host, authorize, log });
  const distrust = createDistrust();
  const serveBlob = createBlobRoute({
    registry,
    ndn,
    authorize,
    authorization,
    distrust,
    metrics,
    log,
    stallTimeoutMs,
  });

  return async (request, response) => {
    const [path = "", query = ""] = request.url!.split(/\?(.*)/s, 2);
    const other = new URLSearchParams(query).getAll("ns").find((ns) => canonicalRegistry(ns) !== host);
    if (other !== undefined) {
      return sendError(response, new RegistryError("NAME_UNKNOWN", `this endpoint serves ${host}, not ${other}`));
    }
    const isBlobRead = request.method === "GET" || (request.method === "HEAD" && !isConditional(request.headers));
    const blob = isBlobRead ? parseBlobPath(path) : undefined;
    return blob ? serveBlob(request, response, blob) : forward(request, response);
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
