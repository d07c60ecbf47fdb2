import { freePort } from "#test/support/free-port.ts";
import { type RunningProgram, startClient, startServer } from "#test/support/running-program.ts";
import type { Stage } from "#test/support/stage.ts";
import { overNdnOnly } from "#test/support/whole-path.ts";
import type { Login } from "./pullers/puller.ts";

/**
 * Start a server of this registry and a client in front of it, joined by a direct face; the stage stops them.
 *
 * @param login - Of the server, where the registry wants one. The client has none: it passes on what pullers bring.
 */
export async function startThrough(stage: Stage, registry: string, login?: Login): Promise<RunningProgram> {
  const face = `tcp://127.0.0.1:${await freePort()}`;
  const name = ["--name", "/interop/images"];
  const secrets = login && {
    DOCKER_NDN_REGISTRY_USERNAME: login.username,
    DOCKER_NDN_REGISTRY_PASSWORD: login.password,
  };
  const args = [...name, "--registry", registry, "--face", face, ...(login ? ["--publish", "**"] : [])];
  const server = { folder: await stage.newFolder("server"), args, env: secrets ?? {} };
  stage.own(await startServer(server));
  const folder = await stage.newFolder("client");
  return stage.own(
    await startClient({ folder, args: [...name, "--uplink", face, "--upstream", registry, ...overNdnOnly] }),
  );
}
