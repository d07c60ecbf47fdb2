import type { FastifyInstance } from "fastify";
import type { Registry } from "prom-client";

/** Whether anything can be served, and what is missing: "NDN uplink", "upstream registry". */
export interface Readiness {
  ready: boolean;
  missing: string[];
}

/** `/healthz` (the process lives), `/readyz` (503 only when nothing can be served) and `/metrics` (Prometheus). */
export function addStatusRoutes(
  app: FastifyInstance,
  registry: Registry,
  readiness: () => Readiness | Promise<Readiness>,
): void {
  app.get("/healthz", async () => ({ status: "ok" }));
  app.get("/readyz", async (_request, reply) => {
    const { ready, missing } = await readiness();
    return reply.status(ready ? 200 : 503).send({ ready, missing });
  });
  app.get("/metrics", async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()));
}
