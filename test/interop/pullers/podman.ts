import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { programPath } from "#test/support/programs.ts";
import { run } from "#test/support/run.ts";
import { hostOf, loginFolder, type Puller, type Sample } from "./puller.ts";

/** Podman, as root and with storage of its own. */
export async function startPodman(folder: string, { dockerArchive }: Sample): Promise<Puller> {
  const policy = join(folder, "policy.json");
  await writeFile(policy, JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] }));
  const own = ["--root", join(folder, "root"), "--runroot", join(folder, "run")];
  const tame = ["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=file"];
  const podman = async (...args: string[]) =>
    (await run(programPath("podman"), [...own, ...tame, ...args], { env: { TMPDIR: folder } })).stdout.trim();
  const pullFrom = (...args: string[]) => podman("pull", "--quiet", "--signature-policy", policy, ...args);
  const forget = () => podman("image", "rm", "--all", "--force");
  return {
    name: "podman",
    async pull(image, login) {
      const authFile = join(await loginFolder(folder, hostOf(image), login), "config.json");
      await pullFrom("--tls-verify=false", "--authfile", authFile, image);
      const format = "{{.Id}} {{.Digest}} {{json .RootFS.Layers}}";
      const pulled = await podman("image", "inspect", "--format", format, image);
      await forget();
      return [pulled];
    },
    async push(image, login) {
      const authFile = join(await loginFolder(folder, hostOf(image), login), "config.json");
      await pullFrom(`docker-archive:${dockerArchive}`);
      try {
        await podman("push", "--tls-verify=false", "--authfile", authFile, "sample:latest", `docker://${image}`);
      } finally {
        await forget();
      }
    },
    async logIn(host, { username, password }) {
      const authFile = join(await loginFolder(folder, host, undefined), "config.json");
      await podman("login", "--tls-verify=false", "--authfile", authFile, "-u", username, "-p", password, host);
    },
    async [Symbol.asyncDispose]() {},
  };
}
