/**
 * The server's own pages: `/healthz`, `/readyz`, `/metrics`.
 */
import fastify from "fastify";
import type { Registry } from "prom-client";
import type { BlobServer } from "./server.ts";

/** Open the status endpoint. @throws Error when the address cannot be listened on. */
export async function openStatus(
  listen: { readonly host: string; readonly port: number },
  server: BlobServer,
  metrics: Registry,
): Promise<{ close(): Promise<void> }> {
  const app = fastify({ logger: false, forceCloseConnections: true });
  app.get("/healthz", async () => ({ status: "live" }));
  app.get("/readyz", async (_request, reply) => {
    const missing = server.missing();
    return reply.code(server.isReachable() ? 200 : 503).send({ ready: server.isReachable(), missing });
  });
  app.get("/metrics", async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()));
  await app.listen({ ...listen, listenTextResolver: () => "" });
  return { close: () => app.close() };
}
