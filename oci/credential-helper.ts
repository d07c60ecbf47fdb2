/**
 * Docker's credential helpers: programs that keep logins in the system's own safe.
 */
import { execFile } from "node:child_process";
import type { Credentials } from "./credentials.ts";

/** How a helper is run. */
export interface HelperOptions {
  /** Its environment; `PATH` says where it is looked for. */
  env: Readonly<Record<string, string | undefined>>;
  /** @defaultValue 10000 */
  timeoutMs?: number | undefined;
}

const maxOutputBytes = 64 * 1024;

/**
 * What `docker-credential-<name> get` has for a server; undefined when it has nothing.
 *
 * @param server - As docker spells it: a host, or `https://index.docker.io/v1/` for Docker Hub.
 * @throws Error that has nothing of what the helper printed: it may be a secret.
 */
export async function askHelper(
  name: string,
  server: string,
  options: HelperOptions,
): Promise<Credentials | undefined> {
  // It becomes the name of a program.
  if (!/^[a-z0-9][a-z0-9-]*$/.test(name)) throw new Error("the name of a credential helper has only a-z, 0-9 and -");
  const program = `docker-credential-${name}`;
  const { failure, output } = await run(program, server, options);
  if (failure === undefined) return parseAnswer(program, output);
  if (/credentials not found/i.test(output)) return undefined;
  throw new Error(`${program} ${failure}`);
}

function run(
  program: string,
  input: string,
  { env, timeoutMs = 10_000 }: HelperOptions,
): Promise<{ failure: string | undefined; output: string }> {
  return new Promise((resolve) => {
    const limits = { timeout: timeoutMs, maxBuffer: maxOutputBytes, killSignal: "SIGKILL" } as const;
    const child = execFile(program, ["get"], { env: { ...env }, ...limits }, (err, output) => {
      resolve({ failure: err ? failureOf(err, timeoutMs) : undefined, output });
    });
    child.stdin?.on("error", () => {}); // it may end without having read
    child.stdin?.end(input);
  });
}

function failureOf({ code, killed }: { code?: string | number | null; killed?: boolean }, timeoutMs: number): string {
  if (code === "ENOENT") return "is not installed";
  if (code === "ERR_CHILD_PROCESS_STDIO_MAXBUFFER") return `printed more than ${maxOutputBytes} bytes`;
  return killed ? `did not answer in ${timeoutMs} ms` : `failed (${code ?? "killed"})`;
}

function parseAnswer(program: string, output: string): Credentials | undefined {
  const { Username: username, Secret: secret } = parseObject(program, output);
  if (typeof username !== "string" || typeof secret !== "string") {
    throw new Error(`${program} gave no Username and Secret`);
  }
  if (secret === "") return undefined;
  return username === "<token>" ? { identityToken: secret } : { username, password: secret };
}

function parseObject(program: string, output: string): Record<string, unknown> {
  try {
    return (JSON.parse(output) ?? {}) as Record<string, unknown>;
  } catch {
    // Without the cause: V8 quotes the text, and the text is the secret.
    throw new Error(`${program} printed something that is not JSON`);
  }
}
