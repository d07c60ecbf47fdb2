import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { programPath } from "#test/support/programs.ts";
import { run } from "#test/support/run.ts";
import { contentOf, hostOf, loginFolder, type Puller, type Sample } from "./puller.ts";

/** skopeo, which copies between registries and folders. */
export async function startSkopeo(folder: string, { layout }: Sample): Promise<Puller> {
  const skopeo = (...args: string[]) => run(programPath("skopeo"), ["--insecure-policy", ...args]);
  return {
    name: "skopeo",
    async pull(image, login) {
      const authFile = join(await loginFolder(folder, hostOf(image), login), "config.json");
      const target = await mkdtemp(join(folder, "pulled-"));
      const from = ["--src-tls-verify=false", "--src-authfile", authFile, `docker://${image}`];
      await skopeo("copy", ...from, `dir:${target}`);
      return contentOf(target);
    },
    async push(image, login) {
      const authFile = join(await loginFolder(folder, hostOf(image), login), "config.json");
      const to = ["--dest-tls-verify=false", "--dest-authfile", authFile, `docker://${image}`];
      await skopeo("copy", `oci:${layout}:latest`, ...to);
    },
    async logIn(host, { username, password }) {
      const authFile = join(await loginFolder(folder, host, undefined), "config.json");
      await skopeo("login", "--tls-verify=false", "--authfile", authFile, "-u", username, "-p", password, host);
    },
    async [Symbol.asyncDispose]() {},
  };
}
