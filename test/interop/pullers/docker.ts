import { startDockerd } from "#test/support/programs/dockerd.ts";
import { hostOf, loginFolder, type Puller, type Sample } from "./puller.ts";

/** Docker Engine and its command. */
export async function startDocker(folder: string, { dockerArchive }: Sample): Promise<Puller> {
  const engine = await startDockerd({ folder });
  const identity = (image: string) =>
    engine.docker("image", "inspect", "--format", "{{.Id}} {{json .RootFS.Layers}}", image);
  const forget = () => engine.docker("image", "prune", "--all", "--force");
  return {
    name: "docker",
    async pull(image, login) {
      const config = await loginFolder(folder, hostOf(image), login);
      const said = await engine.docker("--config", config, "pull", image);
      const pulled = [/^Digest: (\S+)$/m.exec(said)?.[1] ?? "no digest", await identity(image)];
      await forget();
      return pulled;
    },
    async push(image, login) {
      const config = await loginFolder(folder, hostOf(image), login);
      await engine.docker("load", "--input", dockerArchive);
      await engine.docker("tag", "sample:latest", image);
      try {
        await engine.docker("--config", config, "push", image);
      } finally {
        await forget();
      }
    },
    async logIn(host, { username, password }) {
      const config = await loginFolder(folder, host, undefined);
      await engine.docker("--config", config, "login", "--username", username, "--password", password, host);
    },
    [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
  };
}
