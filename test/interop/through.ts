import { freePort } from "#test/support/free-port.ts";
import { type RunningProgram, startClient, startServer } from "#test/support/running-program.ts";
import type { Stage } from "#test/support/stage.ts";
import { overNdnOnly } from "#test/support/whole-path.ts";
import type { Login } from "./pullers/puller.ts";

const name = ["--name", "/interop/images"];

/**
 * Start a server of this registry and a client in front of it, joined by a direct face; the stage stops them.
 *
 * @param login - Of the server, where the registry wants one. The client has none: it passes on what pullers bring.
 */
export async function startThrough(stage: Stage, registry: string, login?: Login): Promise<RunningProgram> {
  const face = `tcp://127.0.0.1:${await freePort()}`;
  await startPublishing(stage, registry, face, login);
  const args = [...name, "--uplink", face, "--upstream", registry, ...overNdnOnly];
  const client = stage.own(await startClient({ folder: await stage.newFolder("client"), args }));
  // oras asks no token service at a private address that has another name than the registry.
  return { ...client, host: `${new URL(registry).hostname}:${new URL(client.url).port}` };
}

async function startPublishing(stage: Stage, registry: string, face: string, login: Login | undefined): Promise<void> {
  const args = [...name, "--registry", registry, "--face", face, ...(login ? ["--publish", "**"] : [])];
  const env: Record<string, string> = login
    ? { DOCKER_NDN_REGISTRY_USERNAME: login.username, DOCKER_NDN_REGISTRY_PASSWORD: login.password }
    : {};
  stage.own(await startServer({ folder: await stage.newFolder("server"), args, env }));
}
