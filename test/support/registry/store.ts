/** What the registry holds: per repository, so that a blob is seen only where it was pushed or mounted. */
import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { type Digest, digestOfHash } from "#oci/digest.ts";

export interface Manifest {
  mediaType: string;
  bytes: Buffer;
}

export interface Repository {
  blobs: Map<string, Buffer>;
  manifests: Map<string, Manifest>;
  /** Tag to digest. */
  tags: Map<string, string>;
}

/** What `addImage` made. */
export interface ImageDigests {
  manifest: Digest;
  config: Digest;
  layers: Digest[];
}

const manifestType = "application/vnd.oci.image.manifest.v1+json";
const configType = "application/vnd.oci.image.config.v1+json";
const layerType = "application/vnd.oci.image.layer.v1.tar";

export class ImageStore {
  readonly repositories = new Map<string, Repository>();

  /** The repository, made when there is none. */
  open(name: string): Repository {
    const found = this.repositories.get(name) ?? { blobs: new Map(), manifests: new Map(), tags: new Map() };
    this.repositories.set(name, found);
    return found;
  }

  addBlob(repository: string, bytes: Buffer): Digest {
    const digest = sha256(bytes);
    this.open(repository).blobs.set(digest, bytes);
    return digest;
  }

  addManifest(repository: string, tag: string | undefined, manifest: Manifest): Digest {
    const digest = sha256(manifest.bytes);
    this.open(repository).manifests.set(digest, manifest);
    if (tag !== undefined) this.open(repository).tags.set(tag, digest);
    return digest;
  }

  /** An OCI image of this machine's platform; the layers are stored as they are, the media type follows their bytes. */
  addImage(repository: string, tag: string, layers: Buffer[]): ImageDigests {
    const config = Buffer.from(JSON.stringify(imageConfig(layers)));
    const descriptors = layers.map((bytes) => ({
      mediaType: mediaTypeOf(bytes),
      digest: this.addBlob(repository, bytes),
      size: bytes.length,
    }));
    const configDigest = this.addBlob(repository, config);
    const manifest = {
      schemaVersion: 2,
      mediaType: manifestType,
      config: { mediaType: configType, digest: configDigest, size: config.length },
      layers: descriptors,
    };
    const bytes = Buffer.from(JSON.stringify(manifest));
    return {
      manifest: this.addManifest(repository, tag, { mediaType: manifestType, bytes }),
      config: configDigest,
      layers: descriptors.map(({ digest }) => digest),
    };
  }
}

/** The digest of `bytes` in the algorithm of `digest`; undefined for an algorithm that is not served. */
export function digestLike(digest: string, bytes: Buffer): string | undefined {
  const algorithm = digest.split(":", 1)[0] ?? "";
  if (algorithm !== "sha256" && algorithm !== "sha512") return undefined;
  return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}

function sha256(bytes: Buffer): Digest {
  return digestOfHash(createHash("sha256").update(bytes).digest());
}

function imageConfig(layers: Buffer[]) {
  const diffIds = layers.map((bytes) => sha256(isGzip(bytes) ? gunzipSync(bytes) : bytes));
  return {
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    os: "linux",
    config: {},
    rootfs: { type: "layers", diff_ids: diffIds },
  };
}

function mediaTypeOf(bytes: Buffer): string {
  if (isGzip(bytes)) return `${layerType}+gzip`;
  return bytes.toString("latin1", 257, 262) === "ustar" ? layerType : "application/octet-stream";
}

function isGzip(bytes: Buffer): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}
