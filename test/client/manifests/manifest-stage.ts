import { afterEach, beforeEach } from "vitest";
import { repositoryKey } from "#client/manifests/manifest-names.ts";
import { type ImageDigests, startRegistry, type TestRegistry } from "#test/support/registry.ts";
import type { Answer } from "./ask.ts";
import {
  type ManifestEndpoint,
  type ManifestEndpointOptions,
  type MoodyUpstream,
  startManifestEndpoint,
  startMoodyUpstream,
} from "./manifest-endpoint.ts";

export const repository = "team/app";
export const key = repositoryKey("registry.test", repository);
export const byTag = `/v2/${repository}/manifests/latest`;
export const oci = "application/vnd.oci.image.manifest.v1+json";
export const docker = "application/vnd.docker.distribution.manifest.v2+json";

/** A registry with one image, and a way to it on which things go wrong on demand; new ones for each test. */
export interface ManifestStage {
  /** Closed after the test, with all that is on it. */
  owned: AsyncDisposableStack;
  registry: TestRegistry;
  upstream: MoodyUpstream;
  image: ImageDigests;
  start(options?: ManifestEndpointOptions): Promise<ManifestEndpoint>;
}

/** Set it up before each test of a file. */
export function useManifestStage(): ManifestStage {
  const stage = {
    start: async (options: ManifestEndpointOptions = {}) =>
      stage.owned.use(await startManifestEndpoint(stage.upstream.url, options)),
  } as ManifestStage;
  beforeEach(async () => {
    stage.owned = new AsyncDisposableStack();
    stage.registry = await startRegistry();
    stage.owned.defer(() => stage.registry.close());
    stage.upstream = stage.owned.use(await startMoodyUpstream(stage.registry.url));
    stage.image = stage.registry.addImage(repository, "latest", [Buffer.from("layer")]);
  });
  afterEach(() => stage.owned.disposeAsync());
  return stage;
}

export const byDigest = (digest: string) => `/v2/${repository}/manifests/${digest}`;

/** What must be the same straight and through. */
export function essence({ status, headers, body }: Answer) {
  const { "content-type": type, "content-length": length, etag } = headers;
  return { status, type, length, etag, digest: headers["docker-content-digest"], body: body.toString() };
}
