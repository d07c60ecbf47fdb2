/**
 * Logins of the endpoint itself, so that one client can be shared in a team.
 */
import { createHmac, randomBytes } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Logger } from "pino";
import { costOf, createPasswordCheck, type Logins, type PasswordCheck, parseHtpasswd } from "./htpasswd.ts";
import { readText, versionOf } from "./watched-file.ts";

/** Too many logins are being checked: try again. */
export class LoginsBusy extends Error {
  override readonly name = "LoginsBusy";
}

/** The check of an Authorization header. */
export interface BasicAuth {
  /**
   * Whether the header is a login of the file. A right one is remembered for 5 minutes, or until the file changes.
   *
   * @param from - Who asks, such as the remote address: one must not use up the room of all.
   * @throws LoginsBusy
   */
  check(authorization: string | undefined, from?: string): Promise<boolean>;
  /** Read the file at once, changed or not. */
  look(): void;
  close(): Promise<void>;
}

export interface BasicAuthOptions {
  log?: Pick<Logger, "info" | "warn"> | undefined;
  /** Milliseconds. @defaultValue performance.now */
  now?: (() => number) | undefined;
  /** @defaultValue a thread of its own */
  passwords?: PasswordCheck | undefined;
}

const rememberedMs = 5 * 60_000;
const maxRemembered = 10_000;
const maxPending = 64;
const maxPendingOfOne = 8;
/** How often the file is looked at, at most. */
const lookEveryMs = 1_000;

/** Read the file of logins; it is read again when it changes. @throws ListenerFileError when it cannot be used. */
export function createBasicAuth(file: string, options: BasicAuthOptions = {}): BasicAuth {
  return new HtpasswdAuth(file, options);
}

class HtpasswdAuth implements BasicAuth {
  readonly #file: string;
  readonly #log: BasicAuthOptions["log"];
  readonly #now: () => number;
  readonly #passwords: PasswordCheck;
  readonly #secret = randomBytes(32);
  readonly #checking = new Map<string, Promise<boolean>>();
  readonly #pendingOf = new Map<string, number>();
  // Header by HMAC, to when it is to be checked again.
  readonly #remembered = new LRUCache<string, number>({ max: maxRemembered });
  #logins: Logins;
  #dummyHash: string;
  #version: string;
  #lookedAtMs: number;

  constructor(file: string, options: BasicAuthOptions) {
    this.#file = file;
    this.#log = options.log;
    this.#now = options.now ?? (() => performance.now());
    this.#passwords = options.passwords ?? createPasswordCheck();
    this.#version = versionOf(file);
    this.#logins = parseHtpasswd(readText(file, "htpasswd"), file);
    this.#dummyHash = dummyFor(this.#logins);
    this.#lookedAtMs = this.#now();
    if (this.#logins.size === 0) this.#log?.warn({ file }, "htpasswd has no logins: no one can log in");
  }

  async check(authorization: string | undefined, from = ""): Promise<boolean> {
    const login = parseBasic(authorization);
    if (!login) return false;
    this.#followFile();
    const key = createHmac("sha256", this.#secret).update(JSON.stringify(login)).digest("base64");
    if ((this.#remembered.get(key) ?? Number.NEGATIVE_INFINITY) > this.#now()) return true;
    const running = this.#checking.get(key);
    if (running) return running;
    if (this.#passwords.pending >= maxPending || (this.#pendingOf.get(from) ?? 0) >= maxPendingOfOne)
      throw new LoginsBusy("too many logins are being checked");
    this.#count(from, 1);
    const answer = this.#compare(key, login).finally(() => {
      this.#checking.delete(key);
      this.#count(from, -1);
    });
    this.#checking.set(key, answer);
    return answer;
  }

  look(): void {
    this.#read(versionOf(this.#file));
  }

  close(): Promise<void> {
    return this.#passwords.close();
  }

  async #compare(key: string, { user, password }: Login): Promise<boolean> {
    const logins = this.#logins;
    const hash = logins.get(user);
    const isEqual = await this.#passwords.compare(password, hash ?? this.#dummyHash);
    const isRight = isEqual && hash !== undefined;
    // Checked against a file that has been replaced meanwhile: right then, but not to be remembered.
    if (isRight && logins === this.#logins) this.#remembered.set(key, this.#now() + rememberedMs);
    return isRight;
  }

  #count(from: string, change: number): void {
    const pending = (this.#pendingOf.get(from) ?? 0) + change;
    if (pending > 0) this.#pendingOf.set(from, pending);
    else this.#pendingOf.delete(from);
  }

  #followFile(): void {
    if (this.#now() - this.#lookedAtMs < lookEveryMs) return;
    this.#lookedAtMs = this.#now();
    const version = versionOf(this.#file);
    if (version !== this.#version) this.#read(version);
  }

  #read(version: string): void {
    this.#version = version;
    try {
      this.#logins = parseHtpasswd(readText(this.#file, "htpasswd"), this.#file);
      this.#dummyHash = dummyFor(this.#logins);
      this.#remembered.clear();
      this.#checking.clear(); // who logs in from now on is checked against the new file
      this.#log?.info({ file: this.#file, logins: this.#logins.size }, "htpasswd reloaded");
    } catch (err: unknown) {
      this.#log?.warn({ reason: (err as Error).message }, "htpasswd cannot be used; the old logins hold");
    }
  }
}

interface Login {
  readonly user: string;
  readonly password: string;
}

/** RFC 7617: the password may have colons, the user may not. */
function parseBasic(authorization: string | undefined): Login | undefined {
  const encoded = /^basic +([a-z0-9+/_-]+=*) *$/i.exec(authorization ?? "")?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, "base64").toString();
  const colon = text.indexOf(":");
  return colon < 1 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** A hash that no password is known for, as slow as the slowest of the file. */
function dummyFor(logins: Logins): string {
  return `$2b$${String(costOf(logins)).padStart(2, "0")}$${".".repeat(53)}`;
}
