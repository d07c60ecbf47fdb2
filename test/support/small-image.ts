import { createHash } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
  const tars = await layerTars(payload);
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
  const folder = await mkdtemp(join(tmpdir(), "ndnr-image-"));
  try {
    await mkdir(join(folder, "bin"));
    await copyFile(programPath("busybox"), join(folder, "bin/busybox"));
    await writeFile(join(folder, "payload"), payload);
    await run("tar", ["-C", folder, "-cf", join(folder, "0.tar"), "bin"]);
    await run("tar", ["-C", folder, "-cf", join(folder, "1.tar"), "payload"]);
    const nothing = Buffer.alloc(1024); // a tar archive ends with two empty blocks of 512 bytes
    return [await readFile(join(folder, "0.tar")), await readFile(join(folder, "1.tar")), nothing];
  } finally {
    await rm(folder, { recursive: true });
  }
}
