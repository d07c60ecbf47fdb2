/**
 * Logins that `docker login` has left: `config.json`, and the credential helpers that it names.
 */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { askHelper } from "./credential-helper.ts";
import { type CredentialSource, type Credentials, cachedCredentials, type SourceOptions } from "./credentials.ts";
import { canonicalRegistry } from "./reference.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Docker Hub's name in everything that docker keeps. */
const dockerHubServer = "https://index.docker.io/v1/";

const text = z.string().optional();
const configSchema = z.object({
  auths: z.record(z.string(), z.object({ auth: text, username: text, password: text, identitytoken: text })).optional(),
  credHelpers: z.record(z.string(), z.string()).optional(),
  credsStore: text,
});
type DockerConfig = z.infer<typeof configSchema>;

/** `config.json` of `$DOCKER_CONFIG`, else of `~/.docker`. */
export function dockerConfigPath(env: Environment): string {
  return join(env.DOCKER_CONFIG || join(env.HOME || homedir(), ".docker"), "config.json");
}

/** The login that docker has for a registry, such as `docker.io` or `localhost:5001`; helpers are asked again after 5 minutes. */
export function dockerConfigLogin(registry: string, env: Environment, options: SourceOptions): CredentialSource {
  const path = dockerConfigPath(env);
  return cachedCredentials(() => readDockerLogin(registry, path, env), [path], options);
}

/**
 * Look for the login once: the registry's own helper, the helper of all, the file itself.
 *
 * @throws Error, without anything secret, when the file or a helper is of no use.
 */
export async function readDockerLogin(
  registry: string,
  path: string,
  env: Environment,
): Promise<Credentials | undefined> {
  const config = await readConfig(path);
  if (config === undefined) return undefined;
  const { auths = {}, credHelpers = {}, credsStore } = config;
  const name = entryOf(credHelpers, registry) ?? credsStore;
  return (name ? await askAnySpelling(name, registry, auths, env) : undefined) ?? loginOf(path, auths, registry);
}

/** Docker asks by host; an older login may be kept under a URL, and then `auths` says which. */
async function askAnySpelling(name: string, registry: string, auths: object, env: Environment) {
  const usual = canonicalRegistry(registry) === "docker.io" ? dockerHubServer : registry;
  for (const server of new Set([usual, ...keysOf(auths, registry)])) {
    const found = await askHelper(name, server, { env });
    if (found !== undefined) return found;
  }
  return undefined;
}

async function readConfig(path: string): Promise<DockerConfig | undefined> {
  const json = await readFile(path, "utf8").catch((err: NodeJS.ErrnoException) => {
    if (err.code === "ENOENT") return undefined;
    throw err;
  });
  if (json === undefined) return undefined;
  const parsed = configSchema.safeParse(parseJson(path, json));
  if (parsed.success) return parsed.data;
  throw new Error(`${path} is not a docker configuration: ${parsed.error.issues[0]?.path.join(".")}`);
}

function parseJson(path: string, json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw new Error(`${path} is not JSON`); // without the cause: V8 quotes the text
  }
}

function loginOf(path: string, auths: NonNullable<DockerConfig["auths"]>, registry: string): Credentials | undefined {
  const entry = entryOf(auths, registry);
  if (entry?.identitytoken) return { identityToken: entry.identitytoken };
  if (entry?.username && entry.password) return { username: entry.username, password: entry.password };
  if (!entry?.auth) return undefined;
  // Padded with NUL by some writers, as docker's own reader knows.
  const decoded = Buffer.from(entry.auth, "base64").toString().replace(/\0+$/, "");
  const colon = decoded.indexOf(":");
  if (colon < 1) throw new Error(`${path}: auths of ${registry} is not base64 of name:password`);
  return { username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}

function entryOf<T>(entries: Readonly<Record<string, T>>, registry: string): T | undefined {
  const key = keysOf(entries, registry)[0];
  return key === undefined ? undefined : entries[key];
}

/** Keys that mean this registry: docker writes hosts, and URLs in older files; the very spelling first. */
function keysOf(entries: object, registry: string): string[] {
  const wanted = canonicalRegistry(registry);
  const keys = Object.keys(entries).filter((key) => canonicalRegistry(hostOf(key)) === wanted);
  const isExact = (key: string) => key === registry || key === dockerHubServer;
  return keys.sort((a, b) => Number(isExact(b)) - Number(isExact(a)));
}

function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, "").split("/", 1)[0]!;
}
