/**
 * Manifests that come from the upstream: streamed to the puller, and remembered on the way.
 */
import type { Readable } from "node:stream";
import { isEncoded } from "#oci/body-headers.ts";
import { isSchema1 } from "#oci/manifest.ts";
import { isManifestType } from "#oci/media-type.ts";
import type { Digest } from "#oci/reference.ts";
import { manifestProvenance, writeAll } from "../http/answers.ts";
import type { UpstreamReply } from "../upstream/upstream.ts";
import { discard } from "../upstream/upstream-question.ts";
import { digestOf, maxManifestBytes } from "./contents.ts";
import { announce, digestIn } from "./from-cache.ts";
import type { AnswerEvents, CachedManifests, ManifestRequest } from "./manifest-request.ts";

/** Answer a GET with the upstream's answer, whatever it is. A manifest is kept once all its bytes were seen to be right. */
export async function passManifest(
  services: CachedManifests & AnswerEvents,
  wanted: ManifestRequest,
  { status, headers, body, by = "upstream" }: UpstreamReply,
): Promise<void> {
  const { response, signal } = wanted;
  response.writeHead(status, { ...headers, ...(status === 200 && manifestProvenance(by)) });
  if (status === 204 || status === 304) {
    discard(body);
    return void response.end();
  }
  response.flushHeaders(); // a registry may break off the bodies of its own refusals: the status must be out by then
  const expected = expectedOf(wanted, { status, headers });
  if (!expected) services.onAnswer?.("manifest", by);
  const chunks = expected ? kept(body, (bytes) => keep(services, wanted, { ...expected, by }, bytes)) : body;
  await writeAll<Buffer>(
    response,
    chunks,
    (chunk) => chunk,
    () => {},
    signal,
  );
}

interface Expected extends Pick<UpstreamReply, "by"> {
  /** Undefined where the upstream does not say it: then the bytes do. */
  readonly digest: Digest | undefined;
  readonly contentType: string;
  readonly etag: string | undefined;
}

/** Undefined for an answer that is no manifest, or that cannot be verified. */
function expectedOf(
  { digest: named }: ManifestRequest,
  { status, headers }: Pick<UpstreamReply, "status" | "headers">,
): Expected | undefined {
  const digest = named ?? digestIn(headers);
  const { "content-type": contentType, "docker-content-digest": said, etag } = headers;
  if (status !== 200 || !contentType || isEncoded(headers)) return undefined;
  // Docker-Content-Digest is optional. But not every 200 is a registry's: without it the media type has to say so.
  const isManifest = digest !== undefined || (said === undefined && isManifestType(contentType));
  return isManifest ? { digest, contentType, etag } : undefined;
}

/** The chunks as they come; when all of them have passed, `onWhole` gets them, unless they are too many for a manifest. */
async function* kept(body: Readable, onWhole: (bytes: Buffer) => Promise<void>): AsyncGenerator<Buffer> {
  const pieces: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes <= maxManifestBytes) pieces.push(chunk);
    else pieces.length = 0;
    yield chunk;
  }
  if (sizeBytes <= maxManifestBytes) await onWhole(Buffer.concat(pieces));
}

async function keep(
  services: CachedManifests & AnswerEvents,
  wanted: ManifestRequest,
  { digest: said, contentType, etag, by = "upstream" }: Expected,
  bytes: Buffer,
): Promise<void> {
  const { contents, cache, rights, log } = services;
  const { key, tag, repository, credential } = wanted;
  const digest = digestOf(bytes);
  if (digest !== (said ?? digest)) {
    if (isSchema1(bytes)) return; // only its puller can tell
    return log.warn({ repository, digest: said, found: digest }, "upstream sent a manifest with another digest");
  }
  try {
    await contents.put(digest, bytes);
  } catch (err: unknown) {
    log.warn({ err, digest }, "manifest cannot be kept");
  }
  cache.sawManifest(key, { digest, contentType, sizeBytes: bytes.length, etag });
  if (tag !== undefined) cache.sawTag(key, tag, digest);
  rights.granted(credential, repository, digest);
  announce(services, wanted, { digest, mediaType: contentType, bytes }, by);
}
