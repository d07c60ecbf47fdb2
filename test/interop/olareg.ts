import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hashSync } from "bcryptjs";
import { freePort } from "#test/support/free-port.ts";
import { startProcess } from "#test/support/process.ts";
import { goProgram } from "./go-programs.ts";
import type { Login } from "./pullers/puller.ts";

/** A registry without TLS on the loopback interface. */
export interface Registry extends AsyncDisposable {
  readonly url: string;
  /** `localhost:PORT`, as in an image's name. */
  readonly host: string;
}

/**
 * Start olareg, a registry with the referrers API (OCI distribution-spec 1.1), which docker-registry has not.
 *
 * @param login - Whose tokens it wants, from a token service of its own, where no login gets a token that opens nothing.
 *   Without one it is open.
 */
export async function startOlareg(folder: string, login?: Login): Promise<Registry> {
  const port = await freePort();
  const host = `localhost:${port}`;
  const url = `http://${host}`;
  const users = join(folder, "users.yaml");
  await mkdir(join(folder, "storage"));
  if (login !== undefined) await writeFile(users, JSON.stringify(allowOnly(login)));
  const program = await startProcess({
    command: goProgram("olareg"),
    args: [
      ...["serve", "--addr", "127.0.0.1", "--port", String(port), "--dir", join(folder, "storage"), "--api-delete"],
      ...(login === undefined ? [] : ["--auth-token-opaque", users, "--external-url", url]),
    ],
    logFile: join(folder, "olareg.log"),
    ready: async () => (await fetch(`${url}/v2/`)).status < 500,
  });
  return { url, host, [Symbol.asyncDispose]: () => program.stop() };
}

/** JSON is YAML. */
function allowOnly({ username, password }: Login): object {
  return {
    users: { [username]: { cred: hashSync(password, 5) } },
    acls: [{ repo: "*", members: [username], access: ["*"] }],
  };
}
