/** What `ndn-registry configure` writes is cached against the programs that read it. */
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { freePort } from "#test/support/free-port.ts";
import { parseMetrics, sumOf } from "#test/support/metrics.ts";
import { startProcess } from "#test/support/process.ts";
import { startContainerd } from "#test/support/programs/containerd.ts";
import { startDockerd } from "#test/support/programs/dockerd.ts";
import { checkout, programPath } from "#test/support/programs.ts";
import { type ImageDigests, startRegistry, type TestRegistry, tarLayer } from "#test/support/registry.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { run } from "#test/support/run.ts";
import { useStage } from "#test/support/stage.ts";
import { until } from "#test/support/until.ts";

const repository = "library/small";
const layers = [tarLayer({ "hello.txt": "hello\n" })];
const patience = { timeout: 90_000 };

describeWith(["root", "dockerd", "docker", "containerd", "ctr", "podman", "skopeo"], "configured", () => {
  const stage = useStage();
  /** Stands in for Docker Hub. */
  let hub: TestRegistry;
  let image: ImageDigests;
  let endpoint: string;

  beforeAll(async () => {
    hub = await startRegistry();
    image = hub.addImage(repository, "latest", layers);
    endpoint = `http://127.0.0.1:${await freePort()}`;
    const folder = await stage.newFolder("client");
    const ownFolders = ["--keychain", join(folder, "keychain"), "--state", join(folder, "state")];
    const args = ["start", "--listen", new URL(endpoint).host, "--upstream", hub.url.href, ...ownFolders];
    stage.own(
      await startProcess({
        command: process.execPath,
        args: [join(checkout, "cli/main.js"), ...args],
        cwd: folder,
        logFile: join(folder, "client.log"),
        ready: async () => (await fetch(`${endpoint}/readyz`)).ok,
      }),
    );
  });
  afterAll(() => hub.close());
  let before: number;
  beforeEach(async () => {
    before = await bytesServed();
  });

  /** Bytes of blobs that the endpoint has handed out. */
  async function bytesServed(): Promise<number> {
    const metrics = parseMetrics(await (await fetch(`${endpoint}/metrics`)).text());
    return sumOf(metrics, "ndn_registry_blob_bytes_total", {});
  }

  function imageBytes(): number {
    const { blobs } = hub.open(repository);
    return [image.config, ...image.layers].reduce((sum, digest) => sum + blobs.get(digest)!.length, 0);
  }

  async function configure(root: string, program: string, ...args: string[]): Promise<void> {
    const verb = [join(checkout, "cli/main.js"), "configure", program, "--root", root, "--endpoint", endpoint];
    await run(process.execPath, [...verb, ...args]);
  }

  test("dockerd takes its mirror from daemon.json, without a restart", patience, async () => {
    const root = await stage.newFolder("for-docker");
    await mkdir(join(root, "etc/docker"), { recursive: true });
    const configFile = join(root, "etc/docker/daemon.json");
    await writeFile(configFile, '{\n  "labels": ["site=lab"]\n}\n');
    await using engine = await startDockerd({ folder: await stage.newFolder("engine"), configFile });
    await configure(root, "docker");
    engine.process.signal("SIGHUP");
    const settings = () => engine.docker("info", "--format", "{{.RegistryConfig.Mirrors}} {{.Labels}}");
    await until("the mirror", async () => (await settings()) === `[${endpoint}/] [site=lab]`);
    const pulled = await engine.docker("pull", "small");
    expect(pulled).toContain("docker.io/library/small:latest");
    expect(pulled).toContain(image.manifest);
    expect(await bytesServed()).toBe(before + imageBytes());
  });

  test("ctr takes its mirror from hosts.toml", patience, async () => {
    const root = await stage.newFolder("for-containerd");
    // containerd says which registry it means, and the endpoint answers only for its own upstream.
    await configure(root, "containerd", "--for", hub.host);
    await using daemon = await startContainerd(await stage.newFolder("containerd"));
    const hosts = ["--hosts-dir", join(root, "etc/containerd/certs.d"), "--snapshotter", "native"];
    await daemon.ctr("images", "pull", ...hosts, `${hub.host}/${repository}:latest`);
    expect(await daemon.ctr("images", "list")).toContain(image.manifest);
    expect(await bytesServed()).toBe(before + imageBytes());
  });

  test("podman and skopeo take theirs from registries.conf.d", patience, async () => {
    // A registry of another name is a path of the endpoint; here it is a path of its upstream too.
    hub.addImage(`registry.invalid/${repository}`, "latest", layers);
    const root = await stage.newFolder("for-podman");
    await configure(root, "podman", "--for", "docker.io", "--for", "registry.invalid", "--for", hub.host);
    // Both read the same files below a home folder as well, which leaves those of this machine alone.
    const home = await stage.newFolder("home");
    await mkdir(join(home, ".config"));
    await symlink(join(root, "etc/containers"), join(home, ".config/containers"));
    const policy = join(stage.folder, "policy.json");
    await writeFile(policy, JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] }));
    const env = { HOME: home, XDG_CONFIG_HOME: join(home, ".config"), TMPDIR: stage.folder };

    const own = ["--root", await stage.newFolder("podman"), "--runroot", await stage.newFolder("podman-run")];
    const tame = ["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=file"];
    const pull = ["pull", "--quiet", "--signature-policy", policy, `docker.io/${repository}`];
    const { stdout } = await run(programPath("podman"), [...own, ...tame, ...pull], { env });
    expect(`sha256:${stdout.trim()}`).toBe(image.config);
    expect(await bytesServed()).toBe(before + imageBytes());

    // The endpoint's own registry has a port, which podman takes in no path.
    for (const [nth, host] of ["registry.invalid", hub.host].entries()) {
      const copied = `dir:${join(stage.folder, `copied-${nth}`)}`;
      const copy = ["copy", "--insecure-policy", `docker://${host}/${repository}:latest`, copied];
      await run(programPath("skopeo"), copy, { env });
      expect(await bytesServed()).toBe(before + (2 + nth) * imageBytes());
    }
  });
});
