/**
 * The cache over HTTP, for `ndn-registry cache` and the status page, from this machine only.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { RegistryError } from "#oci/errors.ts";
import { type Digest, parseSha256 } from "#oci/reference.ts";
import { refusalOf } from "./admin-access.ts";
import { addImageRoutes, type ImageAdmin, infoOf } from "./admin-images.ts";
import { streamLines } from "./json-lines.ts";

/** A cached blob as the store knows it. */
export interface CachedBlobInfo {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Milliseconds since 1970. */
  readonly lastUsedAt: number;
  /** Whether an image that it belongs to is pinned. @defaultValue false */
  readonly isPinned?: boolean | undefined;
}

/** How far a verification has come, in blobs. */
export interface VerifyProgress {
  readonly checked: number;
  readonly total: number;
}

/** The outcome of reading every blob: the bad ones are removed. */
export interface Verified {
  readonly checked: number;
  readonly bad: readonly Digest[];
}

/** What a budget cost. */
export interface Pruned {
  /** How many blobs. */
  readonly removed: number;
  readonly freedBytes: number;
}

/** What the routes need of the store. */
export interface CacheAdmin {
  readonly usedBytes: number;
  readonly maxBytes: number;
  list(): Iterable<CachedBlobInfo>;
  /** False when it was not cached. */
  delete(digest: Digest): Promise<boolean>;
  /** Read and hash every blob, and remove what is wrong. @throws the signal's reason when it is aborted */
  verify(onProgress: (progress: VerifyProgress) => void, signal: AbortSignal): Promise<Verified>;
  /** Remove what was not used for longest until `toBytes` are left. */
  prune(toBytes: number): Promise<Pruned>;
}

/** The answer to `GET /-/cache`. */
export interface CacheListing {
  readonly usedBytes: number;
  readonly maxBytes: number;
  /** Last used first. */
  readonly images?: readonly ReturnType<typeof infoOf>[] | undefined;
  /** All blobs, `lastUsedAt` in the form of RFC 3339, UTC. */
  readonly blobs: readonly ListedBlob[];
}

/** A blob of a listing. */
export interface ListedBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly lastUsedAt: string;
  /** Only where it is. */
  readonly isPinned?: true;
}

/** Where the routes are; the path of one blob ends with its digest. */
export const adminPath = "/-/cache";

/**
 * `GET /-/cache`, `DELETE /-/cache/<digest>`, `POST /-/cache/verify` (JSON lines: progress, then the outcome),
 * `POST /-/cache/prune?to=<bytes>`, and those of `addImageRoutes`. Everyone but this machine's own programs gets 403.
 */
export function addAdminRoutes(
  app: FastifyInstance,
  cache: CacheAdmin,
  log: Pick<Logger, "warn">,
  images?: ImageAdmin,
): void {
  const onRequest = async (request: FastifyRequest, reply: FastifyReply) => {
    const refusal = refusalOf(request.raw);
    if (refusal !== undefined) return refuse(reply, new RegistryError("DENIED", refusal));
    reply.header("cache-control", "no-store");
  };
  let isVerifying = false;
  const closing = new AbortController();
  app.addHook("preClose", async () => closing.abort());

  app.get(adminPath, { onRequest }, async () => {
    const listing = listingOf(cache);
    return images ? { ...listing, images: (await images.list()).map(infoOf) } : listing;
  });
  if (images) addImageRoutes(app, images, { path: adminPath, onRequest, closing: closing.signal, log });
  app.delete<{ Params: { digest: string } }>(`${adminPath}/:digest`, { onRequest }, async (request, reply) => {
    const digest = parseSha256(request.params.digest);
    if (digest === undefined) return refuse(reply, new RegistryError("DIGEST_INVALID", "sha256:<64 hex digits>"));
    const refusal = images ? await refusalOfRemoving(images, digest) : undefined;
    if (refusal) return refuse(reply, refusal);
    if (images || (await cache.delete(digest))) return reply.status(204).send();
    return refuse(reply, notCached(digest));
  });
  app.post<{ Querystring: { to?: unknown } }>(`${adminPath}/prune`, { onRequest }, async (request, reply) => {
    const to = wholeNumber(request.query.to);
    if (to === undefined) return refuse(reply, new RegistryError("SIZE_INVALID", "?to= takes a number of bytes"));
    return cache.prune(to);
  });
  app.post(`${adminPath}/verify`, { onRequest }, async (_request, reply) => {
    // Each run reads the whole disk.
    if (isVerifying) return refuse(reply, new RegistryError("DENIED", "a verification is running", { status: 409 }));
    isVerifying = true;
    try {
      await streamVerification(reply, cache, closing.signal, log);
    } finally {
      isVerifying = false;
    }
  });
}

function refuse(reply: FastifyReply, err: RegistryError): FastifyReply {
  return reply.status(err.status).send(err.toJSON());
}

/** Remove an image, or a blob, by its digest. @returns why it is still there */
async function refusalOfRemoving(images: ImageAdmin, digest: Digest): Promise<RegistryError | undefined> {
  try {
    await images.remove(digest);
    return undefined;
  } catch (err: unknown) {
    if (!(err instanceof RegistryError)) throw err;
    return err.code === "MANIFEST_UNKNOWN" ? notCached(digest) : err;
  }
}

function notCached(digest: Digest): RegistryError {
  return new RegistryError("BLOB_UNKNOWN", `${digest} is not in the cache`);
}

/** A listing for the wire and for people. */
export function listingOf(cache: Pick<CacheAdmin, "usedBytes" | "maxBytes" | "list">): CacheListing {
  const blobs = Array.from(cache.list(), ({ digest, sizeBytes, lastUsedAt, isPinned }) => ({
    digest,
    sizeBytes,
    lastUsedAt: new Date(lastUsedAt).toISOString(),
    ...(isPinned && { isPinned }),
  }));
  return { usedBytes: cache.usedBytes, maxBytes: cache.maxBytes, blobs };
}

function wholeNumber(text: unknown): number | undefined {
  const number = typeof text === "string" && /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(number) ? number : undefined;
}

/** Ends with the outcome, or breaks the connection off; a caller that goes away ends the verification. */
async function streamVerification(
  reply: FastifyReply,
  cache: CacheAdmin,
  closing: AbortSignal,
  log: Pick<Logger, "warn">,
): Promise<void> {
  const lines = streamLines(reply, closing);
  lines.begin();
  try {
    const { checked, bad } = await cache.verify(
      ({ checked, total }) => lines.progress({ checked, total }),
      lines.signal,
    );
    lines.end({ checked, bad });
  } catch (err: unknown) {
    if (!lines.signal.aborted) log.warn({ err }, "verifying the cache failed");
    lines.breakOff();
  }
}
