/**
 * What a manifest refers to (OCI image-spec, manifest.md and image-index.md; Docker image manifest v2 schema 2).
 *
 * An image is a tree of content addresses. A tag names an index or a manifest. An index lists one manifest for each
 * platform; a manifest lists one configuration (JSON: command, environment, digests of the unpacked layers) and the
 * layers in the order in which they are unpacked, each with media type, digest and size: a descriptor. Manifests and
 * indexes are fetched by `/manifests/`, configuration and layers by `/blobs/`. Whatever copies an image takes the
 * children before the parent, so that no manifest is ever there without its blobs; what only wants to know which blobs
 * a puller will ask for next reads them here.
 */
import { z } from "zod";
import { bareType, indexTypes, isManifestType } from "./media-type.ts";
import { type Digest, parseSha256 } from "./reference.ts";

/** A descriptor in a manifest or an index (OCI image-spec, descriptor.md). */
export interface Referred {
  /** `manifest`: a child of an index, itself a manifest or an index; the others are blobs. */
  readonly kind: "config" | "layer" | "manifest";
  /** As the descriptor has it, parameters included. */
  readonly mediaType: string;
  /** Always sha256: other algorithms are left out. */
  readonly digest: Digest;
  /** Length of the content; as claimed, not checked. Not negative. */
  readonly sizeBytes: number;
  /** Of a child of an index, `linux/arm/v7`: operating system, architecture, and the variant if there is one. */
  readonly platform?: string | undefined;
}

/**
 * Whether these are the bytes of a Docker image manifest v2 schema 1, whatever media type it was sent with: its digest
 * is that of its payload, without the signatures.
 */
export function isSchema1(bytes: Uint8Array): boolean {
  return schema1.safeParse(parseJson(bytes)).success;
}

const schema1 = z.object({ schemaVersion: z.literal(1) });

const descriptor = z.object({
  mediaType: z.string(),
  digest: z.string(),
  size: z.int().nonnegative(),
  urls: z.array(z.string()).optional(),
});
const child = descriptor.extend({
  platform: z
    .object({ os: z.string(), architecture: z.string(), variant: z.string().optional() })
    .optional()
    .catch(undefined),
});
const manifestSchema = z.object({ config: descriptor, layers: z.array(descriptor) });
const indexSchema = z.object({ manifests: z.array(child) });

/**
 * Configuration and layers of an image manifest, in this order, or the children of an index. Left out: layers that lie elsewhere (`urls`), digests that are not sha256, repeats.
 *
 * @param mediaType - As in Content-Type, which decides how the bytes are read; its parameters do not matter.
 * @param bytes - The manifest as it was sent; it is not checked against a digest.
 * @returns nothing for other media types, and for what cannot be read: it is the puller's to complain. Never throws.
 */
export function layersOf(mediaType: string, bytes: Uint8Array): Referred[] {
  if (!isManifestType(mediaType)) return [];
  const json = parseJson(bytes);
  if (indexTypes.has(bareType(mediaType))) {
    const { data } = indexSchema.safeParse(json);
    return distinct(data?.manifests.flatMap((one) => referred("manifest", one).map(withPlatform(one))) ?? []);
  }
  const { data } = manifestSchema.safeParse(json);
  if (!data) return [];
  return distinct([...referred("config", data.config), ...data.layers.flatMap((layer) => referred("layer", layer))]);
}

function referred(kind: Referred["kind"], { mediaType, digest, size, urls }: z.infer<typeof descriptor>): Referred[] {
  const sha256 = parseSha256(digest);
  const isElsewhere = urls !== undefined && urls.length > 0;
  return sha256 && !isElsewhere ? [{ kind, mediaType, digest: sha256, sizeBytes: size }] : [];
}

function withPlatform({ platform }: z.infer<typeof child>): (one: Referred) => Referred {
  if (!platform) return (one) => one;
  const { os, architecture, variant } = platform;
  return (one) => ({ ...one, platform: [os, architecture, variant].filter(Boolean).join("/") });
}

function distinct(all: Referred[]): Referred[] {
  return [...new Map(all.map((one) => [one.digest, one])).values()];
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    return undefined; // the puller will say so
  }
}
