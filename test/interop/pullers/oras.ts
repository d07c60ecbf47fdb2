import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { run } from "#test/support/run.ts";
import { goProgram } from "../go-programs.ts";
import { contentOf, hostOf, loginFolder, type Puller, type Sample } from "./puller.ts";

/** oras, here with images; artifacts and referrers are in `artifacts.interop.ts`. */
export async function startOras(folder: string, { layout }: Sample): Promise<Puller> {
  const oras = (...args: string[]) => run(goProgram("oras"), args);
  return {
    name: "oras",
    async pull(image, login) {
      const authFile = join(await loginFolder(folder, hostOf(image), login), "config.json");
      const target = await mkdtemp(join(folder, "pulled-"));
      const from = ["--from-plain-http", "--from-registry-config", authFile, image];
      await oras("copy", "--no-tty", ...from, "--to-oci-layout", `${target}:latest`);
      return contentOf(join(target, "blobs")); // index.json lists them in any order
    },
    async push(image, login) {
      const authFile = join(await loginFolder(folder, hostOf(image), login), "config.json");
      const to = ["--to-plain-http", "--to-registry-config", authFile, image];
      await oras("copy", "--no-tty", "--from-oci-layout", `${layout}:latest`, ...to);
    },
    async logIn(host, { username, password }) {
      const authFile = join(await loginFolder(folder, host, undefined), "config.json");
      await oras("login", "--plain-http", "--registry-config", authFile, "-u", username, "-p", password, host);
    },
    async [Symbol.asyncDispose]() {},
  };
}
