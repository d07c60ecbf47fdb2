/**
 * What a manifest refers to.
 */
import { z } from "zod";
import { type Digest, parseSha256 } from "./digest.ts";
import { bareType } from "./media-type.ts";

/** A descriptor in a manifest or an index. */
export interface Referred {
  /** `manifest`: a child of an index; the others are blobs. */
  readonly kind: "config" | "layer" | "manifest";
  readonly mediaType: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
}

const manifestTypes = new Set([
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
]);
const indexTypes = new Set([
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
]);

const descriptor = z.object({
  mediaType: z.string(),
  digest: z.string(),
  size: z.int().nonnegative(),
  urls: z.array(z.string()).optional(),
});
const manifestSchema = z.object({ config: descriptor, layers: z.array(descriptor) });
const indexSchema = z.object({ manifests: z.array(descriptor) });

/**
 * Configuration and layers of an image manifest, in this order, or the children of an index (OCI image-spec, Docker
 * image manifest v2 schema 2). Left out: layers that lie elsewhere (`urls`), digests that are not sha256, repeats.
 *
 * @param mediaType - As in Content-Type.
 * @returns Nothing for other media types, and for what cannot be read.
 */
export function layersOf(mediaType: string, bytes: Uint8Array): Referred[] {
  const type = bareType(mediaType);
  if (!manifestTypes.has(type) && !indexTypes.has(type)) return [];
  const json = parseJson(bytes);
  if (indexTypes.has(type)) {
    const { data } = indexSchema.safeParse(json);
    return distinct(data?.manifests.flatMap((child) => referred("manifest", child)) ?? []);
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
