/** Who may do what: Basic, or Bearer with a token service of the registry's own. */
import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { RegistryError } from "#oci/errors.ts";
import { reply } from "./send.ts";

export interface AuthOptions {
  /** @defaultValue bearer */
  kind?: "bearer" | "basic";
  /** Whether `/token` is on the registry itself or on a server of its own. @defaultValue other */
  realm?: "same" | "other";
  /** Name to password. */
  users: Record<string, string>;
  /** Repositories that need a login even to pull. */
  privateRepositories?: readonly string[];
  /** Whether other repositories can be pulled without a login. @defaultValue true */
  anonymous?: boolean;
  /** @defaultValue 300 */
  tokenLifetimeSeconds?: number;
}

/** What a request wants; no repository for `/v2/` and the catalogue. */
export interface Wish {
  repository: string | undefined;
  action: "pull" | "push" | "delete";
}

/** One request that reached the token service. */
export interface TokenRequest {
  url: string;
  authorization: string | undefined;
  status: number;
}

interface Grant {
  /** `<repository> <action>`. */
  access: Set<string>;
  expiresAt: number;
}

const service = "test-registry";

export class Authority {
  readonly requests: TokenRequest[] = [];
  readonly #options: AuthOptions;
  readonly #grants = new Map<string, Grant>();
  /** Base of the server that has `/token`. */
  realm: URL | undefined;

  constructor(options: AuthOptions) {
    this.#options = options;
  }

  /** Undefined when `authorization` allows the wish, else the challenge for `WWW-Authenticate`. */
  challenge(authorization: string | undefined, wish: Wish): string | undefined {
    if (this.#options.kind === "basic") {
      const open = wish.repository !== undefined && this.#allows(undefined, wish.repository, wish.action);
      return open || this.#login(authorization) !== undefined ? undefined : `Basic realm="${service}"`;
    }
    const grant = this.#grants.get(/^bearer (.+)$/i.exec(authorization ?? "")?.[1] ?? "");
    const valid = grant !== undefined && grant.expiresAt > Date.now();
    const wanted = `${wish.repository} ${wish.action}`;
    if (valid && (wish.repository === undefined || grant.access.has(wanted))) return undefined;
    return this.#bearerChallenge(wish, valid ? "insufficient_scope" : authorization && "invalid_token");
  }

  /** `GET /token?service=…&scope=repository:<name>:<actions>`; without the right to something, a token that lacks it. */
  giveToken(req: IncomingMessage, res: ServerResponse): void {
    const url = new URL(req.url ?? "/", "http://token");
    const record = { url: req.url ?? "", authorization: req.headers.authorization, status: 200 };
    this.requests.push(record);
    const user = this.#login(req.headers.authorization);
    record.status = req.method !== "GET" ? 405 : this.#refuses(req.headers.authorization, user) ? 401 : 200;
    if (record.status !== 200) throw new RegistryError("UNAUTHORIZED", "no token", { status: record.status });
    const lifetime = this.#options.tokenLifetimeSeconds ?? 300;
    const token = randomBytes(24).toString("base64url");
    const access = new Set(url.searchParams.getAll("scope").flatMap((scope) => this.#grantable(scope, user)));
    this.#grants.set(token, { access, expiresAt: Date.now() + lifetime * 1000 });
    const answer = { token, expires_in: lifetime, issued_at: new Date().toISOString() };
    reply(res, 200, { "content-type": "application/json" }, JSON.stringify(answer));
  }

  /** Every token given so far stops working. */
  expireTokens(): void {
    this.#grants.clear();
  }

  #bearerChallenge({ repository, action }: Wish, error: string | undefined): string {
    const actions = action === "push" ? "pull,push" : action;
    const scope = repository === undefined ? "" : `,scope="repository:${repository}:${actions}"`;
    const realm = new URL("/token", this.realm);
    return `Bearer realm="${realm.href}",service="${service}"${scope}${error ? `,error="${error}"` : ""}`;
  }

  #refuses(authorization: string | undefined, user: string | undefined): boolean {
    return user === undefined && (authorization !== undefined || this.#options.anonymous === false);
  }

  #grantable(scope: string, user: string | undefined): string[] {
    const [, repository = "", actions = ""] = /^repository:([^:]+):(.*)$/.exec(scope) ?? [];
    const allowed = actions.split(",").filter((action) => this.#allows(user, repository, action));
    return allowed.map((action) => `${repository} ${action}`);
  }

  #allows(user: string | undefined, repository: string, action: string): boolean {
    if (user !== undefined) return true;
    const isPrivate = this.#options.privateRepositories?.includes(repository) ?? false;
    return action === "pull" && !isPrivate && this.#options.anonymous !== false;
  }

  /** The user whose name and password these are. */
  #login(authorization: string | undefined): string | undefined {
    const encoded = /^basic (.+)$/i.exec(authorization ?? "")?.[1] ?? "";
    const [, name = "", password] = /^([^:]*):(.*)$/s.exec(Buffer.from(encoded, "base64").toString()) ?? [];
    const known = Object.hasOwn(this.#options.users, name) ? this.#options.users[name] : undefined;
    return known !== undefined && known === password ? name : undefined;
  }
}
