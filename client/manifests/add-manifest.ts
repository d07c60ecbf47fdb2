/**
 * A manifest that no puller has asked for is taken into the cache.
 */
import type { Readable } from "node:stream";
import { isEncoded } from "#oci/body-headers.ts";
import { RegistryError, RegistryUnreachable } from "#oci/errors.ts";
import { manifestAccept } from "#oci/media-type.ts";
import { type Digest, parseSha256 } from "#oci/reference.ts";
import type { Puller } from "../registries/router.ts";
import { type Ask, discard } from "../upstream/upstream-question.ts";
import { digestOf, maxManifestBytes } from "./contents.ts";
import { digestIn } from "./from-cache.ts";
import type { RepositoryKey } from "./manifest-names.ts";
import type { CachedManifests } from "./manifest-request.ts";

/** What adding uses of one registry. */
export interface AddableManifests extends CachedManifests {
  readonly ask: Ask;
}

/** Which manifest, and in whose name it is asked for. */
export interface WantedManifest {
  readonly key: RepositoryKey;
  readonly repository: string;
  /** A tag or a sha256 digest. */
  readonly reference: string;
  readonly puller: Puller;
}

/** A manifest that is cached now, unless the store is busy or full: see `keepManifest`. */
export interface AddedManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Buffer;
}

/**
 * Ask the upstream for a manifest, by HEAD where it may be cached already: that costs no pull quota.
 *
 * @throws RegistryError when there is none, or it is refused.
 * @throws RegistryUnreachable when there is no answer.
 */
export async function addManifest(
  services: AddableManifests,
  wanted: WantedManifest,
  signal: AbortSignal,
): Promise<AddedManifest> {
  const { key, repository, reference, puller } = wanted;
  const manifest = (await cachedManifest(services, wanted, signal)) ?? (await readManifest(services, wanted, signal));
  const { digest, mediaType, bytes } = manifest;
  await services.contents.put(digest, bytes);
  const { etag } = manifest;
  services.cache.sawManifest(key, { digest, contentType: mediaType, sizeBytes: bytes.length, etag });
  if (!parseSha256(reference)) services.cache.sawTag(key, reference, digest, { contentType: mediaType });
  services.rights.granted(puller.identity, repository, digest);
  return manifest;
}

/** See that a manifest is cached, which another one may have been writing before. @throws RegistryError when it cannot be */
export async function keepManifest(
  { contents }: Pick<AddableManifests, "contents">,
  { digest, bytes }: AddedManifest,
): Promise<void> {
  if (contents.has(digest) || (await contents.put(digest, bytes))) return;
  throw new RegistryError("UNAVAILABLE", `the manifest ${digest} cannot be cached now: the disk is full or in use`);
}

type Found = AddedManifest & { readonly etag: string | undefined };

async function cachedManifest(
  { ask, contents }: AddableManifests,
  { repository, reference, puller }: WantedManifest,
  signal: AbortSignal,
): Promise<Found | undefined> {
  try {
    const head = await ask(
      { repository, reference, puller, accept: manifestAccept, method: "HEAD", signal },
      "another request",
    );
    discard(head.body);
    const digest = digestIn(head.headers);
    const { "content-type": mediaType, etag } = head.headers;
    if (head.status !== 200 || !digest || !mediaType || digest !== (parseSha256(reference) ?? digest)) return undefined;
    const bytes = await contents.get(digest);
    return bytes && { digest, mediaType, bytes, etag };
  } catch (err: unknown) {
    if (err instanceof RegistryUnreachable) return undefined; // one that is slow, or bad at HEAD, still answers the GET
    throw err;
  }
}

async function readManifest(
  { ask }: AddableManifests,
  { repository, reference, puller }: WantedManifest,
  signal: AbortSignal,
): Promise<Found> {
  const reply = await ask({ repository, reference, puller, accept: manifestAccept, method: "GET", signal }, "none");
  const { status, headers, body } = reply;
  const what = `${repository}${parseSha256(reference) ? "@" : ":"}${reference}`;
  const mediaType = headers["content-type"];
  if (status !== 200 || !mediaType || isEncoded(headers)) {
    discard(body);
    throw refusal(what, status);
  }
  const bytes = await collect(body, what);
  const [digest, said] = [digestOf(bytes), parseSha256(reference) ?? digestIn(headers)];
  if (digest !== (said ?? digest)) throw new RegistryError("UNAVAILABLE", `the registry sent other bytes than ${said}`);
  return { digest, mediaType, bytes, etag: headers.etag };
}

function refusal(what: string, status: number): RegistryError {
  if (status === 404) return new RegistryError("MANIFEST_UNKNOWN", `the registry has no ${what}`);
  if (status === 401 || status === 403) {
    return new RegistryError("DENIED", `the registry refuses ${what} to pullers without a login: it answers ${status}`);
  }
  if (status === 429) return new RegistryError("TOOMANYREQUESTS", `the registry's quota is used up: no ${what}`);
  return new RegistryError("UNAVAILABLE", `the registry answers ${status} for ${what}`);
}

async function collect(body: Readable, what: string): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let sizeBytes = 0;
  for await (const piece of body as AsyncIterable<Buffer>) {
    sizeBytes += piece.length;
    if (sizeBytes > maxManifestBytes) throw new RegistryError("SIZE_INVALID", `${what} is too large for a manifest`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}
