import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { type Containerd, startContainerd, writeHosts } from "#test/support/programs/containerd.ts";
import { goProgram } from "../go-programs.ts";
import { hostOf, type Login, type Puller, type Sample } from "./puller.ts";

/** The containerd of this machine, with `ctr`, which fetches for itself. */
export async function startContainerd1(folder: string, sample: Sample): Promise<Puller> {
  return pullerOf("containerd 1.6", folder, await startContainerd(folder), sample);
}

/** containerd 2.4, where `ctr` asks the daemon's transfer service. */
export async function startContainerd2(folder: string, sample: Sample): Promise<Puller> {
  const programs = { containerd: goProgram("containerd"), ctr: goProgram("ctr") };
  const unpackInto = `[[plugins."io.containerd.transfer.v1.local".unpack_config]]
  platform = "linux"
  snapshotter = "native"
`;
  return pullerOf("containerd 2.4", folder, await startContainerd(folder, { programs, config: unpackInto }), sample);
}

function pullerOf(name: string, folder: string, daemon: Containerd, { ociArchive }: Sample): Puller {
  const ctr = (...args: string[]) => daemon.ctr(...args);
  const userOf = (login: Login | undefined) => (login ? ["--user", `${login.username}:${login.password}`] : []);
  const imported = "sample:latest";
  async function pull(image: string, login: Login | undefined, ...how: string[]): Promise<string[]> {
    await ctr("images", "pull", ...userOf(login), ...how, "--snapshotter", "native", image);
    const [, , digest] = (await ctr("images", "list", `name==${image}`)).split("\n")[1]!.split(/\s+/);
    const pulled = [digest!, ...(await ctr("content", "list", "--quiet")).trim().split("\n").sort()];
    await ctr("images", "remove", "--sync", image);
    return pulled;
  }
  return {
    name,
    pull: (image, login) => pull(image, login, "--plain-http"),
    async pullByMirror(image, login, endpoint) {
      const hosts = await mkdtemp(join(folder, "hosts-"));
      await writeHosts(hosts, hostOf(image), endpoint);
      return pull(image, login, "--hosts-dir", hosts);
    },
    async push(image, login) {
      await ctr("images", "import", "--base-name", "sample", "--no-unpack", ociArchive);
      try {
        await ctr("images", "push", ...userOf(login), "--plain-http", image, imported);
      } finally {
        await ctr("images", "remove", "--sync", imported);
      }
    },
    [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
  };
}
