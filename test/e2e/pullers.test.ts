/** Pullers other than Docker, each with its own habits of asking. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { startContainerd, writeHosts } from "#test/support/programs/containerd.ts";
import { programPath } from "#test/support/programs.ts";
import { digestOf, randomBytesOf } from "#test/support/random-bytes.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { run } from "#test/support/run.ts";
import { blobBytes } from "#test/support/running-program.ts";
import { pushSmallImage, type SmallImage } from "#test/support/small-image.ts";
import { useStage } from "#test/support/stage.ts";
import { overNdnOnly, startWholePath, type WholePath, wholePathPrograms } from "#test/support/whole-path.ts";

const repository = "team/app/pulled";
const patience = { timeout: 90_000 };

describeWith(["root", ...wholePathPrograms, "skopeo", "podman", "containerd", "ctr", "busybox"], "pullers", () => {
  const stage = useStage();
  let path: WholePath;
  let image: SmallImage;
  let before: Awaited<ReturnType<typeof blobBytes>>;

  beforeAll(async () => {
    path = await startWholePath(stage, { client: overNdnOnly });
    image = await pushSmallImage(path.registry.url, repository, randomBytesOf("pullers", 20_000_000));
  }, 60_000);

  beforeEach(async () => {
    before = await blobBytes(path.client);
  });

  async function expectEverythingOverNdn(): Promise<void> {
    const after = await blobBytes(path.client);
    // The first puller's blobs are cached for the others.
    expect(after.ndn + after.store).toBe(before.ndn + before.store + image.blobBytes);
    expect([after.ndn, after.upstream]).toEqual([image.blobBytes, 0]);
  }

  test("skopeo copies an image into a folder", patience, async () => {
    const folder = join(stage.folder, "copied");
    const source = `docker://${path.client.host}/${repository}`;
    await run(programPath("skopeo"), ["copy", "--insecure-policy", "--src-tls-verify=false", source, `dir:${folder}`]);
    const blobs = (await readdir(folder)).filter((name) => /^[0-9a-f]{64}$/.test(name));
    expect(blobs.map((name) => `sha256:${name}`).sort()).toEqual([...image.digests].sort());
    for (const name of blobs) expect(digestOf(await readFile(join(folder, name)))).toBe(`sha256:${name}`);
    await expectEverythingOverNdn();
  });

  test("podman pulls an image", patience, async () => {
    const policy = join(stage.folder, "policy.json");
    await writeFile(policy, JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] }));
    const own = ["--root", join(stage.folder, "podman"), "--runroot", join(stage.folder, "podman-run")];
    const tame = ["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=file"];
    const podman = (...args: string[]) =>
      run(programPath("podman"), [...own, ...tame, ...args], { env: { TMPDIR: stage.folder } });
    const name = `${path.client.host}/${repository}`;
    await podman("pull", "--quiet", "--tls-verify=false", "--signature-policy", policy, name);
    const { stdout } = await podman("image", "inspect", "--format", "{{.Id}}", name);
    expect(`sha256:${stdout.trim()}`).toBe(image.config.digest);
    await expectEverythingOverNdn();
  });

  test("containerd pulls by the registry's own name with the client as its mirror", patience, async () => {
    const upstream = path.registry.host;
    const hosts = join(stage.folder, "hosts");
    await writeHosts(hosts, upstream, path.client.url);
    await using daemon = await startContainerd(join(stage.folder, "containerd"));
    const pull = ["images", "pull", "--hosts-dir", hosts, "--snapshotter", "native"];
    await daemon.ctr(...pull, `${upstream}/${repository}:latest`);
    expect(await daemon.ctr("images", "list", `name==${upstream}/${repository}:latest`)).toContain(
      image.manifest.digest,
    );
    await expectEverythingOverNdn();
  });
});
