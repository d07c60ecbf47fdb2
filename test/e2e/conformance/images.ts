/**
 * Manifests of every kind that docker-registry takes.
 */
import { pushBlob, pushManifest } from "#test/support/oci-push.ts";
import { digestOf, randomBytesOf } from "#test/support/random-bytes.ts";

/** Media types of manifests. */
export const types = {
  image: "application/vnd.oci.image.manifest.v1+json",
  index: "application/vnd.oci.image.index.v1+json",
  dockerImage: "application/vnd.docker.distribution.manifest.v2+json",
  dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
  schema1: "application/vnd.docker.distribution.manifest.v1+prettyjws",
} as const;

/** Every manifest of {@link pushImages}: its tag and its digest. */
export type Images = Readonly<Record<"image" | "index" | "docker" | "list", string>>;

/** Put a layer, a config and one manifest of each kind into a repository, each under the tag that is its name here. */
export async function pushImages(registry: string, repository: string): Promise<Images> {
  const layerBytes = randomBytesOf("conformance layer", 3_000);
  const layer = await pushBlob(registry, repository, layerBytes);
  const config = await pushBlob(registry, repository, Buffer.from(JSON.stringify(configOf(layerBytes))));
  const put = (tag: string, manifest: { mediaType: string }) => pushManifest(registry, repository, tag, manifest);
  const ociLayer = { ...layer, mediaType: "application/vnd.oci.image.layer.v1.tar" };
  const oci = {
    schemaVersion: 2,
    mediaType: types.image,
    config: { ...config, mediaType: "application/vnd.oci.image.config.v1+json" },
    layers: [ociLayer],
  };
  const docker = {
    schemaVersion: 2,
    mediaType: types.dockerImage,
    config: { ...config, mediaType: "application/vnd.docker.container.image.v1+json" },
    layers: [{ ...layer, mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip" }],
  };
  const platform = { architecture: "amd64", os: "linux" };
  const image = await put("image", oci);
  const dockerImage = await put("docker", docker);
  const indexOf = (of: object) => ({ schemaVersion: 2, manifests: [{ ...of, platform }] });
  const index = await put("index", { ...indexOf(image), mediaType: types.index });
  const list = await put("list", { ...indexOf(dockerImage), mediaType: types.dockerList });
  return { image: image.digest, index: index.digest, docker: dockerImage.digest, list: list.digest };
}

/** The manifest with so many annotations that it has the 4 MiB which registries have to take (OCI § Pushing Manifests). */
export function largest<M extends object>(manifest: M): M {
  const annotated = { ...manifest, annotations: { filler: "" } };
  const missing = 4 * 1_024 * 1_024 - JSON.stringify(annotated).length;
  return { ...manifest, annotations: { filler: "x".repeat(missing) } };
}

function configOf(layer: Uint8Array): object {
  return {
    architecture: "amd64",
    os: "linux",
    config: {},
    rootfs: { type: "layers", diff_ids: [digestOf(layer)] },
    history: [{ created: "2000-01-01T00:00:00Z", created_by: "conformance" }],
  };
}
