import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { type Descriptor, pushBlob, pushManifest } from "./oci-push.ts";
import { programPath } from "./programs.ts";
import { run } from "./run.ts";

/** An image that was made without Docker. */
export interface SmallImage {
  readonly manifest: Descriptor;
  readonly config: Descriptor;
  /** Digests of configuration and layers. */
  readonly digests: readonly string[];
  /** Bytes of configuration and layers together. */
  readonly blobBytes: number;
}

/** Push an OCI image of busybox, a layer with `payload` in it, and an empty layer, tagged `latest`. */
export async function pushSmallImage(registry: string, repository: string, payload: Uint8Array): Promise<SmallImage> {
  return pushImageOf(registry, repository, await layerTars(payload));
}

/** Push an OCI image of these layers (tar archives), gzipped, tagged `latest`. */
export async function pushImageOf(registry: string, repository: string, tars: readonly Buffer[]): Promise<SmallImage> {
  const layers = [];
  for (const tar of tars) {
    const descriptor = await pushBlob(registry, repository, gzipSync(tar, { level: 1 }));
    layers.push({ ...descriptor, mediaType: "application/vnd.oci.image.layer.v1.tar+gzip" });
  }
  const mediaType = "application/vnd.oci.image.config.v1+json";
  const configuration = Buffer.from(JSON.stringify(imageConfiguration(tars)));
  const config = { ...(await pushBlob(registry, repository, configuration)), mediaType };
  const manifest = await pushManifest(registry, repository, "latest", {
    ...{ schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json" },
    ...{ config, layers },
  });
  const blobs = [config, ...layers];
  const blobBytes = blobs.reduce((sum, { size }) => sum + size, 0);
  return { manifest, config, digests: blobs.map(({ digest }) => digest), blobBytes };
}

/** OCI image-spec, config.md. */
function imageConfiguration(tars: readonly Buffer[]): object {
  const diffIds = tars.map((tar) => `sha256:${createHash("sha256").update(tar).digest("hex")}`);
  return {
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    os: "linux",
    config: { Entrypoint: ["/bin/busybox"], Cmd: ["echo", "hello"] },
    rootfs: { type: "layers", diff_ids: diffIds },
  };
}

async function layerTars(payload: Uint8Array): Promise<Buffer[]> {
  const nothing = Buffer.alloc(1024); // a tar archive ends with two empty blocks of 512 bytes
  return [await tarOf("bin/busybox", await readFile(programPath("busybox"))), await tarOf("payload", payload), nothing];
}

/** A tar archive of one executable file and its folders. */
export async function tarOf(path: string, content: Uint8Array): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), "ndnr-image-"));
  try {
    const [top, file] = [path.split("/")[0]!, join(folder, "root", path)];
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content, { mode: 0o755 });
    await run("tar", ["-C", join(folder, "root"), "-cf", join(folder, "layer.tar"), top]);
    return await readFile(join(folder, "layer.tar"));
  } finally {
    await rm(folder, { recursive: true });
  }
}
