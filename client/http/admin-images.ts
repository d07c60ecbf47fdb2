/**
 * The cache by image over HTTP: added to, pinned, removed; the rules of `admin-access.ts` go before.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { RegistryError } from "#oci/errors.ts";
import { streamLines } from "./json-lines.ts";

/** An image of the cache; its digest is that of its manifest or index. */
export interface ImageInfo {
  /** `<registry>/<repository>:<tag>`, or `@<digest>` where no tag means it. */
  readonly name: string;
  /** `<registry>/<repository>`. */
  readonly repository: string;
  readonly tag: string | undefined;
  readonly digest: string;
  /** Of all that is known to belong to it. */
  readonly sizeBytes: number;
  readonly cachedBytes: number;
  /** Milliseconds since 1970. */
  readonly lastUsedAt: number;
  readonly isPinned: boolean;
  /** Digests of manifests, configurations and layers, cached or not. */
  readonly blobs: readonly string[];
}

/** What removing an image, or a blob, freed. */
export interface Removed {
  readonly name: string;
  /** How many, manifests included. */
  readonly blobs: number;
  readonly freedBytes: number;
}

/** How far an image has come that is being added; totals are what its manifests claim. */
export interface AddProgress {
  readonly name: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly doneBlobs: number;
  readonly totalBlobs: number;
  /** By source. */
  readonly fetchedBytes: Readonly<Record<string, number>>;
}

/** An image that is cached now, configurations and layers. */
export interface AddedImage {
  readonly name: string;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly blobs: number;
  /** What had to be fetched, by source. */
  readonly fetchedBytes: Readonly<Record<string, number>>;
}

/** An image that is to be added. */
export interface AddRequest {
  /** As pullers write it. */
  readonly image: string;
  /** Of an index: `linux/arm/v7`, `linux/amd64`, `all`; none stands for that of this machine. */
  readonly platforms: readonly string[];
  readonly onProgress: (progress: AddProgress) => void;
}

/** What the routes need of the images; what they reject with is a RegistryError, or a fault of ours. */
export interface ImageAdmin {
  list(): Promise<ImageInfo[]>;
  /** By name or digest, whole or in part. */
  remove(text: string): Promise<Removed>;
  pin(text: string): Promise<ImageInfo>;
  /** @returns its name */
  unpin(text: string): Promise<string>;
  add(request: AddRequest, signal: AbortSignal): Promise<AddedImage>;
}

interface Query {
  Querystring: { readonly image?: unknown; readonly platform?: unknown };
}
type Asked = FastifyRequest<Query>;

/** How the routes are told apart from strangers, and when they end. */
export interface ImageRoutesOptions {
  readonly path: string;
  readonly onRequest: (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>;
  readonly closing: AbortSignal;
  readonly log: Pick<Logger, "warn">;
}

/**
 * `POST <path>/add?image=…&platform=…` (JSON lines: progress, then the outcome), `POST <path>/pin?image=…`,
 * `POST <path>/unpin?image=…` and `DELETE <path>/images?image=…`.
 */
export function addImageRoutes(app: FastifyInstance, images: ImageAdmin, options: ImageRoutesOptions): void {
  const { path, onRequest } = options;
  const answer = (work: (image: string) => Promise<object>) => async (request: Asked, reply: FastifyReply) => {
    try {
      return await work(imageIn(request));
    } catch (err: unknown) {
      if (err instanceof RegistryError) return reply.status(err.status).send(err.toJSON());
      options.log.warn({ err }, "the cache could not be changed");
      throw err;
    }
  };
  app.post<Query>(
    `${path}/pin`,
    { onRequest },
    answer((image) => images.pin(image).then(infoOf)),
  );
  app.post<Query>(
    `${path}/unpin`,
    { onRequest },
    answer(async (image) => ({ name: await images.unpin(image) })),
  );
  app.delete<Query>(
    `${path}/images`,
    { onRequest },
    answer((image) => images.remove(image)),
  );
  app.post<Query>(`${path}/add`, { onRequest }, async (request, reply) => {
    try {
      await streamAdding(reply, images, { image: imageIn(request), platforms: platformsIn(request) }, options);
    } catch (err: unknown) {
      if (!(err instanceof RegistryError)) throw err;
      return reply.status(err.status).send(err.toJSON());
    }
  });
}

/** An image for the wire: `lastUsedAt` in the form of RFC 3339, UTC. */
export function infoOf(image: ImageInfo) {
  return { ...image, lastUsedAt: new Date(image.lastUsedAt).toISOString() };
}

function imageIn({ query: { image } }: Asked): string {
  if (typeof image === "string" && image !== "") return image;
  throw new RegistryError("NAME_INVALID", "?image= takes the name of an image");
}

function platformsIn({ query: { platform = [] } }: Asked): string[] {
  return [platform].flat().map(String);
}

/** What is wrong before the first line is an answer with its status, what comes later the last line. */
async function streamAdding(
  reply: FastifyReply,
  images: ImageAdmin,
  wanted: Omit<AddRequest, "onProgress">,
  { closing, log }: ImageRoutesOptions,
): Promise<void> {
  const lines = streamLines(reply, closing);
  try {
    lines.end(await images.add({ ...wanted, onProgress: (progress) => lines.progress(progress) }, lines.signal));
  } catch (err: unknown) {
    if (err instanceof RegistryError && !lines.areBegun) throw err;
    if (err instanceof RegistryError) return lines.end(err.toJSON());
    if (!lines.signal.aborted) log.warn({ err, image: wanted.image }, "adding an image failed");
    lines.breakOff();
  }
}
