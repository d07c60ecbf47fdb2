/** Images in memory: per repository, so that a blob is seen only where it was pushed or mounted; and bytes to fill them. */
import { createCipheriv, createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { type Digest, digestOfHash } from "#oci/reference.ts";

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

/** `sizeBytes` bytes that do not compress; the same for the same size and seed, and a prefix of longer ones. */
export function patternBlob(sizeBytes: number, seed = 1): Buffer {
  const key = createHash("sha256").update(`pattern ${seed}`).digest().subarray(0, 16);
  // A counter-mode cipher over zeros is the fastest generator at hand: 100 MB in about 0.1 s.
  return createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes));
}

/** An uncompressed tar archive (POSIX ustar) of regular files: a layer that real pullers can unpack. */
export function tarLayer(files: Record<string, Buffer | string>): Buffer {
  const entries = Object.entries(files).flatMap(([path, content]) => tarEntry(path, Buffer.from(content)));
  return Buffer.concat([...entries, Buffer.alloc(1024)]);
}

function tarEntry(path: string, content: Buffer): Buffer[] {
  const header = Buffer.alloc(512);
  header.write(path, 0, 100);
  header.write("0000755\0", 100);
  header.write("0000000\0".repeat(2), 108);
  header.write(`${content.length.toString(8).padStart(11, "0")}\0`, 124);
  header.write("00000000000\0", 136);
  header.write("        0", 148); // the checksum counts as spaces; type "regular file"
  header.write("ustar\x0000", 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return [header, content, Buffer.alloc((512 - (content.length % 512)) % 512)];
}
