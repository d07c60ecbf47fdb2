import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { run } from "#test/support/run.ts";
import { goProgram } from "../go-programs.ts";
import { contentOf, hostOf, type Login, loginFolder, type Puller, type Sample } from "./puller.ts";

/** crane. Its `auth login` keeps a login without trying it. */
export async function startCrane(folder: string, { layout }: Sample): Promise<Puller> {
  const crane = async (image: string, login: Login | undefined, ...args: string[]) => {
    const env = { DOCKER_CONFIG: await loginFolder(folder, hostOf(image), login) };
    await run(goProgram("crane"), args, { env });
  };
  return {
    name: "crane",
    async pull(image, login) {
      const target = await mkdtemp(join(folder, "pulled-"));
      await crane(image, login, "pull", "--format=oci", image, target);
      return contentOf(join(target, "blobs"));
    },
    push: (image, login) => crane(image, login, "push", layout, image),
    async [Symbol.asyncDispose]() {},
  };
}
