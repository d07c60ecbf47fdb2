import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../free-port.ts";
import { type RunningProcess, startProcess } from "../process.ts";
import { programPath } from "../programs.ts";

/** Options of {@link startDockerRegistry}. */
export interface RegistryOptions {
  /** Folder for configuration, log and, in `storage/`, the registry's storage. */
  readonly folder: string;
  /** Be a pull-through cache of this registry. */
  readonly proxyRemote?: string;
  /** Ask everyone for the login of {@link testLogin}. */
  readonly auth?: boolean;
  /** @defaultValue a free one */
  readonly port?: number;
  /** IPv4 address that it listens on. @defaultValue 127.0.0.1 */
  readonly address?: string;
  /** Another registry's storage, to have the same images. @defaultValue its own */
  readonly storage?: string;
}

/** A running docker-registry (distribution). */
export interface DockerRegistry extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, unless it listens on another address. */
  readonly url: string;
  /** `127.0.0.1:PORT`, as in an image's name. */
  readonly host: string;
  readonly storage: string;
  readonly process: RunningProcess;
  /** Request lines answered so far, as `GET /v2/ 200`, in order. */
  requests(): Promise<string[]>;
  /** Bytes of blobs written to sockets so far, also of answers that broke off. */
  blobBytes(): Promise<number>;
}

/** The login that `auth` asks for. */
export const testLogin = { username: "puller", password: "only-for-tests" } as const;

/** Start docker-registry with deletion enabled. */
export async function startDockerRegistry(options: RegistryOptions): Promise<DockerRegistry> {
  const host = `${options.address ?? "127.0.0.1"}:${options.port ?? (await freePort())}`;
  const storage = options.storage ?? join(options.folder, "storage");
  const logFile = join(options.folder, "registry.log");
  const config = join(options.folder, "registry.yml");
  await mkdir(storage, { recursive: true });
  await writeFile(join(options.folder, "htpasswd"), htpasswd);
  await writeFile(config, JSON.stringify(configuration(options, host, storage), undefined, 1));
  const registry = await startProcess({
    command: programPath("docker-registry"),
    args: ["serve", config],
    logFile,
    ready: async () => (await fetch(`http://${host}/v2/`)).status < 500,
  });
  return {
    url: `http://${host}`,
    host,
    storage,
    process: registry,
    requests: async () => requestLines(await readFile(logFile, "utf8")),
    blobBytes: async () => blobBytesIn(await readFile(logFile, "utf8")),
    [Symbol.asyncDispose]: () => registry.stop(),
  };
}

/** JSON is YAML: nothing has to be escaped by hand. */
function configuration({ folder, auth, proxyRemote }: RegistryOptions, addr: string, storage: string): object {
  return {
    version: 0.1,
    log: { level: "warn" },
    storage: { filesystem: { rootdirectory: storage }, delete: { enabled: true } },
    http: { addr, secret: "only-for-tests" },
    ...(auth === true ? { auth: { htpasswd: { realm: "test", path: join(folder, "htpasswd") } } } : {}),
    ...(proxyRemote === undefined ? {} : { proxy: { remoteurl: proxyRemote } }),
  };
}

/** The access log is in Apache's combined format. */
function requestLines(log: string): string[] {
  return [...log.matchAll(/"([A-Z]+ \S+) HTTP\/[\d.]+" (\d{3}) /g)].map(
    ([, request, status]) => `${request} ${status}`,
  );
}

function blobBytesIn(log: string): number {
  const answers = log.matchAll(/"GET \S+\/blobs\/sha256:\S+ HTTP\/[\d.]+" 20[06] (\d+) /g);
  return [...answers].reduce((sum, [, bytes]) => sum + Number(bytes), 0);
}

/** bcrypt of {@link testLogin}. */
const htpasswd = `${testLogin.username}:$2y$05$abcdefghijklmnopqrstuuDt8u8tY.Zm8YU.pieFNyF5h5afvnc0a\n`;
