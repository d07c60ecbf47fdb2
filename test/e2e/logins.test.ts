/** Real pullers at an endpoint with `--htpasswd`: a login is asked for, is enough, and is the endpoint's alone. */
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hashSync } from "bcryptjs";
import { beforeAll, expect, test } from "vitest";
import { startContainerd } from "#test/support/programs/containerd.ts";
import { type Dockerd, startDockerd } from "#test/support/programs/dockerd.ts";
import { programPath } from "#test/support/programs.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { run } from "#test/support/run.ts";
import { blobBytes } from "#test/support/running-program.ts";
import { pushSmallImage, type SmallImage } from "#test/support/small-image.ts";
import { useStage } from "#test/support/stage.ts";
import { overNdnOnly, startWholePath, type WholePath, wholePathPrograms } from "#test/support/whole-path.ts";

const repository = "team/app/pulled";
const patience = { timeout: 120_000 };
const [user, password] = ["reader", "correct horse"];
const programs = ["root", ...wholePathPrograms, "dockerd", "docker", "skopeo", "podman", "containerd", "ctr"] as const;

describeWith([...programs, "busybox"], "logins", () => {
  const stage = useStage();
  let path: WholePath;
  let image: SmallImage;
  let name: string;

  beforeAll(async () => {
    const htpasswd = join(stage.folder, "htpasswd");
    await writeFile(htpasswd, `${user}:${hashSync(password, 5)}\n`);
    const client = ["--htpasswd", htpasswd, ...overNdnOnly];
    path = await startWholePath(stage, { client, login: `${user}:${password}` });
    image = await pushSmallImage(path.registry.url, repository, randomBytesOf("logins", 3_000_000));
    name = `${path.client.host}/${repository}`;
  }, 60_000);

  async function engineIn(name: string): Promise<Dockerd> {
    return stage.own(await startDockerd({ folder: await stage.newFolder(name) }));
  }

  /** `docker login` without the password on its command line. */
  async function logIn(engine: Dockerd, word: string): Promise<string> {
    const file = join(stage.folder, "password");
    await writeFile(file, word, { mode: 0o600 });
    const command = 'exec docker login --username "$1" --password-stdin "$2" < "$3"';
    const args = ["-c", command, "login", user, path.client.host, file];
    return (await run("/bin/sh", args, { env: engine.env })).stdout;
  }

  test("Docker needs the login, gets the image with it and no longer after it has left", patience, async () => {
    const engine = await engineIn("engine");
    await expect(engine.docker("pull", name)).rejects.toThrow(/no basic auth credentials/);
    await expect(logIn(engine, "wrong")).rejects.toThrow(/401 Unauthorized/);
    expect(await logIn(engine, password)).toContain("Login Succeeded");
    await engine.docker("pull", name);
    expect(await engine.docker("images", "--no-trunc", "--quiet", name)).toBe(image.config.digest);
    expect(await blobBytes(path.client)).toEqual({ ndn: image.blobBytes, upstream: 0, store: 0 });
    await engine.docker("tag", name, `${name}/again`);
    await engine.docker("push", `${name}/again`);
    await engine.docker("logout", path.client.host);
    await engine.docker("image", "rm", "--force", image.config.digest);
    await expect(engine.docker("pull", name)).rejects.toThrow(/no basic auth credentials/);
  });

  test("skopeo and podman get the image with the login, and nothing with another", patience, async () => {
    const skopeo = (word: string, to: string) =>
      run(programPath("skopeo"), [
        ...["copy", "--insecure-policy", "--src-tls-verify=false", "--src-creds", `${user}:${word}`],
        ...[`docker://${name}`, `dir:${join(stage.folder, to)}`],
      ]);
    await expect(skopeo("wrong", "refused")).rejects.toThrow(/unauthorized|authentication required/i);
    await skopeo(password, "copied");
    expect(await readdir(join(stage.folder, "copied"))).toContain(image.config.digest.slice("sha256:".length));
    const login = (word: string) =>
      run(
        programPath("podman"),
        ["login", "--tls-verify=false", "--authfile", join(stage.folder, "auth.json"), "-u", user, "-p", word].concat(
          path.client.host,
        ),
      );
    await expect(login("wrong")).rejects.toThrow(/invalid username\/password|unauthorized/i);
    await login(password);
  });

  test("containerd gets the image with the login", patience, async () => {
    await using daemon = await startContainerd(join(stage.folder, "containerd"));
    const pull = ["images", "pull", "--plain-http", "--snapshotter", "native", "--user"];
    await expect(daemon.ctr(...pull, `${user}:wrong`, `${name}:latest`)).rejects.toThrow(/401|authorization/i);
    await daemon.ctr(...pull, `${user}:${password}`, `${name}:latest`);
    expect(await daemon.ctr("images", "list", `name==${name}:latest`)).toContain(image.manifest.digest);
  });
});
