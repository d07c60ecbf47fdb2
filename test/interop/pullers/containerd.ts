import { type Containerd, startContainerd } from "#test/support/programs/containerd.ts";
import { goProgram } from "../go-programs.ts";
import type { Login, Puller, Sample } from "./puller.ts";

/** The containerd of this machine, with `ctr`, which fetches for itself. */
export async function startContainerd1(folder: string, sample: Sample): Promise<Puller> {
  return pullerOf("containerd 1.6", await startContainerd(folder), sample);
}

/** containerd 2.4, where `ctr` asks the daemon's transfer service. */
export async function startContainerd2(folder: string, sample: Sample): Promise<Puller> {
  const programs = { containerd: goProgram("containerd"), ctr: goProgram("ctr") };
  const unpackInto = `[[plugins."io.containerd.transfer.v1.local".unpack_config]]
  platform = "linux"
  snapshotter = "native"
`;
  return pullerOf("containerd 2.4", await startContainerd(folder, { programs, config: unpackInto }), sample);
}

function pullerOf(name: string, daemon: Containerd, { ociArchive }: Sample): Puller {
  const ctr = (...args: string[]) => daemon.ctr(...args);
  const userOf = (login: Login | undefined) => (login ? ["--user", `${login.username}:${login.password}`] : []);
  const imported = "sample:latest";
  return {
    name,
    async pull(image, login) {
      await ctr("images", "pull", ...userOf(login), "--plain-http", "--snapshotter", "native", image);
      const [, , digest] = (await ctr("images", "list", `name==${image}`)).split("\n")[1]!.split(/\s+/);
      const pulled = [digest!, ...(await ctr("content", "list", "--quiet")).trim().split("\n").sort()];
      await ctr("images", "remove", "--sync", image);
      return pulled;
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
