/**
 * A registry in memory that can be read (OCI distribution-spec § Pull). The one of the tests has pushes, logins and faults as well.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { ImageStore, type Repository } from "./image-store.ts";

/** A running registry; images may be added at any time. */
export class MemoryRegistry extends ImageStore {
  #server: Listening | undefined;

  /** Start on a free port of 127.0.0.1; the caller closes it. */
  static async start(): Promise<MemoryRegistry> {
    const registry = new MemoryRegistry();
    registry.#server = await listen(0, (req, res) => answer(registry, req, res));
    return registry;
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${this.#server!.port}/`);
  }

  /** Ends all connections, also in the middle of an answer. */
  async close(): Promise<void> {
    await this.#server?.close();
  }
}

function answer(registry: MemoryRegistry, req: IncomingMessage, res: ServerResponse): ServerResponse {
  res.setHeader("docker-distribution-api-version", "registry/2.0");
  const path = req.url?.split("?", 1)[0] ?? "";
  if (path === "/v2/") return send(req, res, 200, Buffer.from("{}"));
  const [, name = "", kind, item = ""] = /^\/v2\/(.+)\/(blobs|manifests)\/([^/]+)$/.exec(path) ?? [];
  const repository = registry.repositories.get(name);
  const isRead = req.method === "GET" || req.method === "HEAD";
  if (!isRead || repository === undefined) return refuse(req, res, isRead ? 404 : 405, "NAME_UNKNOWN");
  if (kind === "manifests") return sendManifest(req, res, repository, item);
  return sendBlob(req, res, repository, item);
}

function sendManifest(
  req: IncomingMessage,
  res: ServerResponse,
  repository: Repository,
  reference: string,
): ServerResponse {
  const digest = repository.tags.get(reference) ?? reference;
  const manifest = repository.manifests.get(digest);
  if (manifest === undefined) return refuse(req, res, 404, "MANIFEST_UNKNOWN");
  res.setHeader("content-type", manifest.mediaType).setHeader("docker-content-digest", digest);
  return send(req, res, 200, manifest.bytes);
}

function sendBlob(req: IncomingMessage, res: ServerResponse, { blobs }: Repository, digest: string): ServerResponse {
  const bytes = blobs.get(digest);
  if (bytes === undefined) return refuse(req, res, 404, "BLOB_UNKNOWN");
  res.setHeader("content-type", "application/octet-stream").setHeader("docker-content-digest", digest);
  res.setHeader("accept-ranges", "bytes");
  const range = selectRange(req.headers.range, bytes.length);
  if (range === undefined) return send(req, res, 200, bytes);
  const isIn = range !== "unsatisfiable";
  res.setHeader("content-range", `bytes ${isIn ? `${range.start}-${range.end - 1}` : "*"}/${bytes.length}`);
  if (!isIn) return refuse(req, res, 416, "RANGE_INVALID");
  return send(req, res, 206, bytes.subarray(range.start, range.end));
}

function refuse(req: IncomingMessage, res: ServerResponse, status: number, code: string): ServerResponse {
  res.setHeader("content-type", "application/json");
  return send(
    req,
    res,
    status,
    Buffer.from(JSON.stringify({ errors: [{ code, message: `${req.method} ${req.url}` }] })),
  );
}

function send(req: IncomingMessage, res: ServerResponse, status: number, body: Buffer): ServerResponse {
  res.writeHead(status, { "content-length": body.length });
  return res.end(req.method === "HEAD" ? undefined : body);
}

/** An HTTP server on a loopback port that can be ended at once. */
export interface Listening {
  port: number;
  /** Ends the connections that no request is under way on. */
  closeIdle(): void;
  /** Ends every connection, also those in the middle of an answer. */
  close(): Promise<void>;
}

export async function listen(port: number, onRequest: RequestListener): Promise<Listening> {
  const server = createServer(onRequest);
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    closeIdle: () => server.closeIdleConnections(),
    close: async () => {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/**
 * The bytes that a Range header asks for, read as docker-registry does; undefined for all of them (no range, or several),
 * "unsatisfiable" also for nonsense. Written apart from `oci/range.ts`, so that neither hides a mistake of the other.
 */
export function selectRange(
  header: string | undefined,
  sizeBytes: number,
): { start: number; end: number } | "unsatisfiable" | undefined {
  if (header === undefined || header.includes(",")) return undefined;
  const [unit, spec = ""] = header.split("=", 2);
  const [first = "", last = "", ...rest] = spec.split("-");
  const isNumber = (text: string) => /^\d*$/.test(text);
  if (unit !== "bytes" || !isNumber(first) || !isNumber(last) || rest.length > 0) return "unsatisfiable";
  if (!spec.includes("-") || spec === "-") return "unsatisfiable";
  const start = first === "" ? Math.max(0, sizeBytes - Number(last)) : Number(first);
  const end = first === "" || last === "" ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  return start < end ? { start, end } : "unsatisfiable";
}
