import { join } from "node:path";
import { pushManifest, readManifest } from "#test/support/oci-push.ts";
import { programPath } from "#test/support/programs.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";
import { run } from "#test/support/run.ts";
import { pushSmallImage, type SmallImage } from "#test/support/small-image.ts";
import { type Login, loginFolder } from "./pullers/puller.ts";

const indexType = "application/vnd.oci.image.index.v1+json";

/** Push an image, tagged `latest`, and an index of it and an image of a foreign platform, tagged `index`. */
export async function pushImages(registry: string, repository: string): Promise<SmallImage> {
  const image = await pushSmallImage(registry, repository, randomBytesOf("interop", 3_000_000));
  const { text } = await readManifest(registry, repository, "latest", image.manifest.mediaType);
  const own = JSON.parse(text) as { mediaType: string; layers: unknown[] };
  const fewer = { ...own, layers: own.layers.slice(1) };
  const foreign = await pushManifest(registry, repository, "foreign", fewer);
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  const index = {
    ...{ schemaVersion: 2, mediaType: indexType },
    manifests: [
      { ...foreign, platform: { architecture: "s390x", os: "linux" } },
      { ...image.manifest, platform: { architecture, os: "linux" } },
    ],
  };
  await pushManifest(registry, repository, "index", index);
  return image;
}

/** Copy an image or an index with all its images from a registry without login to one that may want this login. */
export async function copyImage(from: string, to: string, login: Login, folder: string): Promise<void> {
  const host = to.slice(0, to.indexOf("/"));
  const authFile = join(await loginFolder(folder, host, login), "config.json");
  const plain = ["--insecure-policy", "copy", "--all", "--src-tls-verify=false", "--dest-tls-verify=false"];
  const places = [`docker://${from}`, `docker://${to}`];
  await run(programPath("skopeo"), [...plain, "--dest-authfile", authFile, ...places]);
}
