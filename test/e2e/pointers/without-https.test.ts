/** Real pullers in a network namespace without a route: the registry is reached over NDN alone. */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { Island, type IslandClient, islandPrograms } from "#test/support/island.ts";
import { sumOf } from "#test/support/metrics.ts";
import { pushManifest } from "#test/support/oci-push.ts";
import { startContainerd } from "#test/support/programs/containerd.ts";
import { startDockerd } from "#test/support/programs/dockerd.ts";
import { programPath } from "#test/support/programs.ts";
import { digestOf, randomBytesOf } from "#test/support/random-bytes.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { pushSmallImage, type SmallImage } from "#test/support/small-image.ts";
import { useStage } from "#test/support/stage.ts";
import { until } from "#test/support/until.ts";
import { prefix, startWholePath, type WholePath, wholePathPrograms } from "#test/support/whole-path.ts";

const repository = "team/app/island";
const endpoint = "127.0.0.1:5000";
const patience = { timeout: 120_000 };
const pullers = ["skopeo", "podman", "containerd", "ctr", "docker", "dockerd", "busybox"];

describeWith([...islandPrograms, ...wholePathPrograms, ...pullers], "without HTTPS", () => {
  const stage = useStage();
  let path: WholePath;
  let island: Island;
  let client: IslandClient;
  let image: SmallImage;
  let indexDigest: string;

  beforeAll(async () => {
    path = await startWholePath(stage, { anchored: true });
    image = await pushSmallImage(path.registry.url, repository, randomBytesOf("island", 5_000_000));
    const platform = { architecture: process.arch === "x64" ? "amd64" : process.arch, os: "linux" };
    const manifests = [{ ...image.manifest, platform }];
    const index = await pushManifest(path.registry.url, repository, "index", {
      ...{ schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json" },
      ...{ manifests },
    });
    indexDigest = index.digest;
    island = stage.own(await Island.make());
    const folder = join(stage.folder, "island");
    await mkdir(folder);
    const anchor = join(stage.folder, "anchor.ndncert");
    const args = ["--upstream", "none", "--name", prefix, "--anchor", anchor, "--uplink", `unix://${path.socket}`];
    client = stage.own(await island.startClient(folder, args));
  }, 90_000);

  const skopeo = (...args: string[]) => island.run(programPath("skopeo"), args);

  async function expectNothingOverHttp(): Promise<void> {
    const samples = await client.metrics();
    expect(sumOf(samples, "ndn_registry_blob_bytes_total", { source: "upstream" })).toBe(0);
    expect(sumOf(samples, "ndn_registry_manifests_total", { source: "upstream" })).toBe(0);
    expect(sumOf(samples, "ndn_registry_manifests_total", { source: "ndn" })).toBeGreaterThan(0);
  }

  test("there is no way to the registry", async () => {
    expect((await island.run(programPath("ip"), ["route"])).stdout).toBe("");
  });

  test.each([
    ["an image by its tag", () => ":latest"],
    ["an image by its digest", () => `@${image.manifest.digest}`],
    ["an index by its tag", () => ":index"],
    ["an index by its digest", () => `@${indexDigest}`],
  ])("skopeo copies %s", patience, async (_what, reference) => {
    const folder = await stage.newFolder("copied");
    const source = `docker://${endpoint}/${repository}${reference()}`;
    await skopeo("copy", "--insecure-policy", "--src-tls-verify=false", source, `dir:${folder}`);
    const blobs = (await readdir(folder)).filter((name) => /^[0-9a-f]{64}$/.test(name));
    expect(blobs.map((name) => `sha256:${name}`).sort()).toEqual([...image.digests].sort());
    for (const name of blobs) expect(digestOf(await readFile(join(folder, name)))).toBe(`sha256:${name}`);
    expect(digestOf(await readFile(join(folder, "manifest.json")))).toBe(image.manifest.digest);
    await expectNothingOverHttp();
  });

  test("skopeo lists the tags", patience, async () => {
    const { stdout } = await skopeo("list-tags", "--tls-verify=false", `docker://${endpoint}/${repository}`);
    expect(JSON.parse(stdout)).toMatchObject({ Tags: ["index", "latest"] });
  });

  test("a tag that is moved is seen soon, through a forwarder that caches", patience, async () => {
    const moved = "team/app/moved";
    const tag = `/v2/${moved}/manifests/latest`;
    const seen = async () => digestOf(Buffer.from((await client.ask(tag)).text));
    const before = await pushSmallImage(path.registry.url, moved, randomBytesOf("before", 1_000));
    expect(await seen()).toBe(before.manifest.digest);
    const after = await pushSmallImage(path.registry.url, moved, randomBytesOf("after", 1_000));
    await until("the new manifest", async () => (await seen()) === after.manifest.digest, 20_000);
  });

  test("a push is refused with the reason", patience, async () => {
    const [source, target] = [`docker://${endpoint}/${repository}`, `docker://${endpoint}/team/pushed`];
    const pushed = skopeo(
      "copy",
      "--insecure-policy",
      "--src-tls-verify=false",
      "--dest-tls-verify=false",
      source,
      target,
    );
    await expect(pushed).rejects.toThrow(/over NDN alone|unsupported|405/i);
  });

  test("podman pulls an image", patience, async () => {
    const policy = join(stage.folder, "policy.json");
    await writeFile(policy, JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] }));
    const own = ["--root", join(stage.folder, "podman"), "--runroot", join(stage.folder, "podman-run")];
    const tame = ["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=file"];
    const podman = (...args: string[]) =>
      island.run(programPath("podman"), [...own, ...tame, ...args], { env: { TMPDIR: stage.folder } });
    const name = `${endpoint}/${repository}:index`;
    await podman("pull", "--quiet", "--tls-verify=false", "--signature-policy", policy, name);
    const { stdout } = await podman("image", "inspect", "--format", "{{.Id}}", name);
    expect(`sha256:${stdout.trim()}`).toBe(image.config.digest);
    await expectNothingOverHttp();
  });

  test("containerd pulls an image", patience, async () => {
    const containerd = await island.wrapper(stage.folder, "containerd");
    await using daemon = await startContainerd(join(stage.folder, "containerd"), {
      programs: { containerd, ctr: await island.wrapper(stage.folder, "ctr") },
    });
    const name = `${endpoint}/${repository}:index`;
    await daemon.ctr("images", "pull", "--plain-http", "--snapshotter", "native", name);
    expect(await daemon.ctr("images", "list", `name==${name}`)).toContain(indexDigest);
    await expectNothingOverHttp();
  });

  test("Docker pulls an image", patience, async () => {
    const command = await island.wrapper(stage.folder, "dockerd");
    const folder = join(stage.folder, "docker");
    await mkdir(folder);
    await using engine = await startDockerd({ folder, command });
    await engine.docker("pull", `${endpoint}/${repository}:latest`);
    const id = await engine.docker("image", "inspect", "--format", "{{.Id}}", `${endpoint}/${repository}:latest`);
    expect(id).toBe(image.config.digest);
    await expectNothingOverHttp();
  });
});
