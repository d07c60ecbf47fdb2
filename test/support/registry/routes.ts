/** Which handler answers which path (OCI distribution-spec § Endpoints). */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { ImageStore, Repository } from "#cli/demo/image-store.ts";
import { RegistryError } from "#oci/errors.ts";
import type { Authority } from "./auth.ts";
import { type BlobContext, serveBlob, serveManifest, servePage } from "./pull.ts";
import { deleteManifest, putManifest, Uploads } from "./push.ts";
import { countPull, type RateLimit } from "./rate-limit.ts";
import { reply } from "./send.ts";

/** What the routes need of the registry; its values may change between requests. */
export interface RouteContext extends BlobContext {
  readonly store: ImageStore;
  readonly authority: Authority | undefined;
  rateLimit(): RateLimit | undefined;
  /** Where a GET of this blob is sent instead; undefined to answer it here. */
  redirectOf(repository: string, digest: string): string | undefined;
}

/** Answers one request; what it throws is the refusal. */
export type Route = (req: IncomingMessage, res: ServerResponse) => void | Promise<void>;

const paths = /^\/v2\/(?:(?:(.+)\/)?(blobs\/uploads|blobs|manifests|tags|_catalog)(?:\/([^/]*))?)?$/;

/** The registry's own server. */
export function registryRoutes(context: RouteContext): Route {
  const uploads = new Uploads(context.store);
  return (req, res) => {
    const url = new URL(`http://registry${req.url ?? "/"}`);
    if (url.pathname === "/token" && context.authority) return context.authority.giveToken(req, res);
    const match = paths.exec(req.url?.split("?", 1)[0] ?? "");
    if (match === null) throw new RegistryError("UNSUPPORTED", "no such endpoint", { status: 404 });
    const [, name, kind, item = ""] = match;
    authorize(context.authority, req, res, name);
    if (kind === undefined) return reply(res, 200, { "content-type": "application/json" }, "{}");
    if (kind === "_catalog") return servePage(res, url, "repositories", context.store.repositories.keys());
    if (name === undefined) throw new RegistryError("NAME_INVALID", "no repository");
    if (kind === "blobs/uploads" && item === "") return beginUpload(uploads, req, res, name, url);
    if (kind === "blobs/uploads") return uploads.go(req, res, name, item, url.searchParams);
    if (kind === "manifests" && req.method === "PUT") return putManifest(req, res, context.store, name, item);
    return inRepository(context, req, res, url, { name, kind, item });
  };
}

function inRepository(
  context: RouteContext,
  req: IncomingMessage,
  res: ServerResponse,
  url: URL,
  { name, kind, item }: { name: string; kind: string; item: string },
): void | Promise<void> {
  const repository = context.store.repositories.get(name);
  if (repository === undefined) throw new RegistryError("NAME_UNKNOWN", "repository unknown", { detail: { name } });
  if (kind === "tags") return servePage(res, url, "tags", repository.tags.keys(), { name });
  const rateLimit = context.rateLimit();
  if (req.method === "GET" && rateLimit) countPull(rateLimit, res);
  if (kind === "blobs") return answerBlob(context, req, res, repository, { name, digest: item });
  if (req.method === "DELETE") return deleteManifest(res, repository, item);
  requireRead(req);
  serveManifest(req, res, repository, item);
}

function answerBlob(
  context: RouteContext,
  req: IncomingMessage,
  res: ServerResponse,
  repository: Repository,
  { name, digest }: { name: string; digest: string },
): void | Promise<void> {
  const blob = repository.blobs.get(digest);
  if (blob === undefined) throw new RegistryError("BLOB_UNKNOWN", "blob unknown to registry", { detail: digest });
  if (req.method === "DELETE") {
    repository.blobs.delete(digest);
    return reply(res, 202);
  }
  requireRead(req);
  const location = req.method === "GET" ? context.redirectOf(name, digest) : undefined;
  if (location !== undefined) return reply(res, 307, { location });
  return serveBlob(req, res, { digest, blob }, context);
}

/**
 * The server that blobs are redirected to, with paths of `redirectOf`. A request that carries Authorization is
 * refused, as S3 does with a presigned URL: the header was not meant for it.
 *
 * @param signature - Has to be in the query.
 */
export function cdnRoutes(context: RouteContext, signature: string): Route {
  return (req, res) => {
    const url = new URL(`http://cdn${req.url ?? "/"}`);
    if (req.headers.authorization !== undefined) throw new RegistryError("DENIED", "two logins", { status: 400 });
    if (url.searchParams.get("signature") !== signature) throw new RegistryError("DENIED", "signature does not match");
    const [, name = "", digest = ""] = /^\/(.+)\/([^/]+)$/.exec(url.pathname) ?? [];
    const blob = context.store.repositories.get(name)?.blobs.get(digest);
    if (blob === undefined) throw new RegistryError("BLOB_UNKNOWN", "no such object");
    return serveBlob(req, res, { digest, blob }, context);
  };
}

function beginUpload(uploads: Uploads, req: IncomingMessage, res: ServerResponse, name: string, url: URL) {
  if (req.method !== "POST") throw new RegistryError("UNSUPPORTED", `${req.method} of uploads`);
  return uploads.begin(req, res, name, url.searchParams);
}

function authorize(authority: Authority | undefined, req: IncomingMessage, res: ServerResponse, name?: string): void {
  const action = req.method === "GET" || req.method === "HEAD" ? "pull" : req.method === "DELETE" ? "delete" : "push";
  const challenge = authority?.challenge(req.headers.authorization, { repository: name, action });
  if (challenge === undefined) return;
  res.setHeader("www-authenticate", challenge);
  throw new RegistryError("UNAUTHORIZED", "authentication required", { detail: { name, action } });
}

function requireRead(req: IncomingMessage): void {
  if (req.method === "GET" || req.method === "HEAD") return;
  throw new RegistryError("UNSUPPORTED", `${req.method} is not supported here`);
}
