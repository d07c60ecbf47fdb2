/**
 * Logins at a registry, and where they come from.
 */
import { readFile, stat } from "node:fs/promises";

/** A name and its password, for Basic and for token services. */
export interface PasswordLogin {
  readonly username: string;
  readonly password: string;
}

/** A token that only buys other tokens (distribution-spec, "OAuth2 Token Authentication": a refresh token). */
export interface IdentityToken {
  readonly identityToken: string;
}

/** A login at a registry. */
export type Credentials = PasswordLogin | IdentityToken;

/** Gives the login that holds now; undefined when there is none. */
export type CredentialSource = () => Promise<Credentials | undefined>;

/** What a source is made with. */
export interface SourceOptions {
  /** Called with one sentence, without secrets, why there is no login although there should be one. */
  warn: (message: string) => void;
  /** Milliseconds on a steady clock; for tests. */
  now?: (() => number) | undefined;
}

const cachedMs = 5 * 60_000;
const cachedAfterFailureMs = 30_000;
const maxPasswordBytes = 64 * 1024;

/**
 * The environment's login at Docker Hub: `DOCKERHUB_USERNAME` with `DOCKERHUB_PASSWORD` or `DOCKERHUB_PASSWORD_FILE`;
 * undefined when none of them is set.
 *
 * @throws Error when they are not complete.
 */
export function dockerHubLogin(
  env: Readonly<Record<string, string | undefined>>,
  options: SourceOptions,
): CredentialSource | undefined {
  const { DOCKERHUB_USERNAME: username, DOCKERHUB_PASSWORD: password, DOCKERHUB_PASSWORD_FILE: file } = env;
  if (!username && !password && !file) return undefined;
  if (username && file) return passwordFile(username, file, options);
  if (username && password) return () => Promise.resolve({ username, password });
  throw new Error("DOCKERHUB_USERNAME and DOCKERHUB_PASSWORD (or DOCKERHUB_PASSWORD_FILE) go together");
}

/** A login whose password is all of a file, without the line break at its end; read again when the file changes. */
export function passwordFile(username: string, file: string, options: SourceOptions): CredentialSource {
  return cachedCredentials(async () => ({ username, password: await readPassword(file) }), [file], options);
}

/**
 * `read`, asked again after 5 minutes, and as soon as one of `files` is another one. Where it fails there is no login for
 * 30 s and a warning: public images can still be pulled.
 */
export function cachedCredentials(
  read: CredentialSource,
  files: readonly string[],
  { warn, now = () => performance.now() }: SourceOptions,
): CredentialSource {
  let cached: { state: string; until: number; value: Promise<Credentials | undefined> } | undefined;
  return async () => {
    const state = (await Promise.all(files.map((file) => stateOf(file)))).join();
    if (cached?.state === state && now() < cached.until) return cached.value;
    const fresh = { state, until: now() + cachedMs, value: Promise.resolve<Credentials | undefined>(undefined) };
    fresh.value = read().catch((err: unknown) => {
      fresh.until = now() + cachedAfterFailureMs;
      warn((err as Error).message);
      return undefined;
    });
    cached = fresh;
    return fresh.value;
  };
}

async function stateOf(file: string): Promise<string> {
  try {
    const { mtimeNs, size, ino } = await stat(file, { bigint: true });
    return `${mtimeNs} ${size} ${ino}`;
  } catch {
    return "absent"; // its reader says so
  }
}

async function readPassword(file: string): Promise<string> {
  const { size } = await stat(file);
  if (size > maxPasswordBytes) throw new Error(`${file} is longer than a password: ${size} bytes`);
  const password = (await readFile(file, "utf8")).replace(/\r?\n$/, "");
  if (password === "") throw new Error(`${file} is empty: a password is needed`);
  return password;
}
