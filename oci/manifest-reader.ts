/**
 * Manifests of one registry (OCI distribution-spec § Pulling manifests): what a tag means, and the bytes.
 */
import { hash } from "node:crypto";
import { RegistryUnreachable } from "./errors.ts";
import { isMediaType, manifestAccept } from "./media-type.ts";
import { type Digest, digestOfHash, parseSha256 } from "./reference.ts";
import type { RegistryClient, RequestOptions } from "./registry-client.ts";
import { isAbsent, readSmallBody } from "./small-body.ts";

/** Registries take no larger ones (OCI distribution-spec § Pushing Manifests). */
export const maxManifestBytes = 4 * 1024 * 1024;

/** A manifest as it was sent; it hashes to its digest. */
export interface Manifest {
  readonly digest: Digest;
  /** As in Content-Type. */
  readonly mediaType: string;
  readonly bytes: Buffer;
}

/** How a registry is asked. */
export type AskOptions = Pick<RequestOptions, "auth" | "signal">;
type Asked = Pick<RegistryClient, "request">;

/**
 * The digest that a HEAD of a manifest, by tag or digest, brings.
 *
 * @returns `absent` when the registry says that there is none, or none that may be seen; undefined when HEAD does not say
 * it, and a GET has to.
 * @throws RegistryUnreachable when it cannot tell now.
 */
export async function headManifest(
  registry: Asked,
  repository: string,
  reference: string,
  options: AskOptions,
): Promise<Digest | "absent" | undefined> {
  const { status, headers, body } = await registry.request("HEAD", pathOf(repository, reference), asking(options));
  body.resume();
  if (isAbsent(status)) return "absent";
  refuseTrouble(status, `${repository}:${reference}`);
  const digest = headers["docker-content-digest"];
  return status === 200 && typeof digest === "string" ? parseSha256(digest) : undefined;
}

/**
 * The manifest that a tag or a digest means.
 *
 * @returns undefined when the registry says that there is none, or none that may be seen.
 * @throws RegistryUnreachable when it cannot tell now, or what it sends is not what was asked for.
 */
export async function readManifest(
  registry: Asked,
  repository: string,
  reference: string,
  options: AskOptions,
): Promise<Manifest | undefined> {
  const what = parseSha256(reference) ? `${repository}@${reference}` : `${repository}:${reference}`;
  const response = await registry.request("GET", pathOf(repository, reference), asking(options));
  const bytes = await readSmallBody(response, maxManifestBytes, what);
  if (isAbsent(response.status)) return undefined;
  refuseTrouble(response.status, what);
  const mediaType = response.headers["content-type"] ?? "";
  const digest = digestOfHash(hash("sha256", bytes, "buffer"));
  if (response.status !== 200) throw new RegistryUnreachable(`registry answered ${response.status} to GET of ${what}`);
  if (!isMediaType(mediaType) || !isJsonObject(bytes))
    throw new RegistryUnreachable(`registry sends no manifest as ${what} (${mediaType})`);
  if (parseSha256(reference) && digest !== reference)
    throw new RegistryUnreachable(`registry sends ${digest} as ${what}`);
  return { digest, mediaType, bytes };
}

/** As all manifests are: the web page of a proxy in between is none. */
function isJsonObject(bytes: Buffer): boolean {
  try {
    const json: unknown = JSON.parse(bytes.toString("utf8"));
    return typeof json === "object" && json !== null && !Array.isArray(json);
  } catch {
    return false;
  }
}

function pathOf(repository: string, reference: string): string {
  return `/v2/${repository}/manifests/${reference}`;
}

function asking(options: AskOptions): RequestOptions {
  return { ...options, headers: { accept: manifestAccept } };
}

/** @throws RegistryUnreachable for what says nothing about a manifest. */
function refuseTrouble(status: number, what: string): void {
  const isUnasked = status === 405 || status === 501; // a HEAD that is not known, which a GET may be
  if (status === 429 || (status >= 500 && !isUnasked))
    throw new RegistryUnreachable(`registry answered ${status} when asked for ${what}`);
}
