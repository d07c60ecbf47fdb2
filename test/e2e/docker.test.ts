/** An unmodified Docker pulls from and pushes to an unmodified registry, and the layers travel over NDN. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { buildWebImage, largeLayerBytes, mediaTypes } from "#test/support/image.ts";
import { type Descriptor, pushManifest, readManifest } from "#test/support/oci-push.ts";
import { type Dockerd, startDockerd } from "#test/support/programs/dockerd.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { blobBytes } from "#test/support/running-program.ts";
import { useStage } from "#test/support/stage.ts";
import { overNdnOnly, startWholePath, type WholePath, wholePathPrograms } from "#test/support/whole-path.ts";

const repository = "team/app/web";
const patience = { timeout: 120_000 };

describeWith(["root", ...wholePathPrograms, "dockerd", "docker", "busybox"], "docker", () => {
  const stage = useStage();
  let path: WholePath;
  let engine: Dockerd;
  let imageId: string;
  let straight: string;

  beforeAll(async () => {
    const folder = join(stage.folder, "engine");
    await mkdir(folder);
    [path, engine] = await Promise.all([startWholePath(stage, { client: overNdnOnly }), startDockerd({ folder })]);
    stage.own(engine);
    straight = `${path.registry.host}/${repository}`;
    await buildWebImage(engine, join(stage.folder, "web"), straight);
    imageId = await engine.docker("images", "--no-trunc", "--quiet", straight);
    await engine.docker("push", straight);
    await pushIndex(path.registry.url);
    await engine.docker("image", "prune", "--all", "--force");
  }, 120_000);

  test("a pull through the client gives the same image, and every blob comes over NDN", patience, async () => {
    const image = `${path.client.host}/${repository}`;
    await engine.docker("pull", image);
    expect(await engine.docker("images", "--no-trunc", "--quiet", image)).toBe(imageId);
    const sizeBytes = await bytesOfBlobs(path.registry.url);
    expect(sizeBytes).toBeGreaterThan(largeLayerBytes);
    expect(await blobBytes(path.client)).toEqual({ ndn: sizeBytes, upstream: 0, store: 0 });
    expect(await engine.docker("run", "--rm", "--network", "host", image)).toBe("hello from the web image");
    await engine.docker("image", "rm", "--force", imageId);
  });

  test("the image of this platform is pulled by an index of several platforms", patience, async () => {
    const image = `${path.client.host}/${repository}:every-platform`;
    await engine.docker("pull", image);
    expect(await engine.docker("images", "--no-trunc", "--quiet", image)).toBe(imageId);
    await engine.docker("image", "rm", "--force", imageId);
  });

  test("a push through the client arrives in the registry with the same digest", patience, async () => {
    const through = `${path.client.host}/${repository}`;
    await engine.docker("pull", straight);
    await engine.docker("tag", straight, `${through}/pushed`);
    const pushed = /digest: (sha256:\S+)/.exec(await engine.docker("push", `${through}/pushed`))?.[1];
    await engine.docker("image", "rm", "--force", imageId);
    const pulled = /Digest: (sha256:\S+)/.exec(await engine.docker("pull", `${straight}/pushed`))?.[1];
    expect(pulled).toMatch(/^sha256:/);
    expect(pulled).toBe(pushed);
    expect(await engine.docker("images", "--no-trunc", "--quiet", `${straight}/pushed`)).toBe(imageId);
  });
});

interface Manifest {
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

async function bytesOfBlobs(registry: string): Promise<number> {
  const { text } = await readManifest(registry, repository, "latest", mediaTypes.manifest);
  const { config, layers } = JSON.parse(text) as Manifest;
  return [config, ...layers].reduce((sum, { size }) => sum + size, 0);
}

/** An index that names the pushed image for the machine's own platform and another manifest for a foreign one. */
async function pushIndex(registry: string): Promise<void> {
  const { text, digest } = await readManifest(registry, repository, "latest", mediaTypes.manifest);
  const own = JSON.parse(text) as Manifest;
  const foreign = await pushManifest(registry, repository, "foreign", {
    ...own,
    layers: own.layers.slice(1),
  } as Manifest);
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  const list = {
    schemaVersion: 2,
    mediaType: mediaTypes.list,
    manifests: [
      { ...foreign, platform: { architecture: "s390x", os: "linux" } },
      { mediaType: mediaTypes.manifest, digest, size: text.length, platform: { architecture, os: "linux" } },
    ],
  };
  await pushManifest(registry, repository, "every-platform", list);
}
