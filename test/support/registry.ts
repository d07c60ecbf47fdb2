/**
 * A registry in this process, for tests: everything in memory, real HTTP, and faults on demand.
 */
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { ImageStore } from "#cli/demo/image-store.ts";
import { type Listening, listen } from "#cli/demo/registry.ts";
import { type AuthOptions, Authority, type TokenRequest } from "./registry/auth.ts";
import type { Fault } from "./registry/fault.ts";
import type { RateLimit } from "./registry/rate-limit.ts";
import { cdnRoutes, type Route, type RouteContext, registryRoutes } from "./registry/routes.ts";
import { type SeenRequest, seen } from "./registry/seen.ts";
import { refuse } from "./registry/send.ts";

export type { ImageDigests } from "#cli/demo/image-store.ts";
export { patternBlob, tarLayer } from "#cli/demo/image-store.ts";
export type { AuthOptions, Fault, RateLimit, SeenRequest, TokenRequest };

export interface RegistryOptions {
  /** @defaultValue 0, a free one */
  port?: number;
  /** @defaultValue everyone may do everything */
  auth?: AuthOptions;
  /** Blob GETs are answered with a 307 to another server, under the host name `localhost`. @defaultValue false */
  redirectBlobs?: boolean;
  rateLimit?: RateLimit;
}

/** Start a registry on 127.0.0.1; the caller closes it. */
export async function startRegistry(options: RegistryOptions = {}): Promise<TestRegistry> {
  const registry = new TestRegistry(options);
  await registry.listen(options);
  return registry;
}

/** A running registry. Its content, faults and limits may be changed at any time. */
export class TestRegistry extends ImageStore {
  /** Everything that reached the registry itself, in order. */
  readonly requests: SeenRequest[] = [];
  /** Everything that reached the server that blobs are redirected to. */
  readonly cdnRequests: SeenRequest[] = [];
  /** Everything that reached the token service. */
  readonly tokenRequests: readonly TokenRequest[];
  /** Bytes of blobs written so far. */
  bytesSent = 0;
  /** What goes wrong with every blob GET; undefined when all is well. */
  fault: Fault | undefined;
  /** What goes wrong with single blobs, by digest; goes before `fault`. */
  readonly faults = new Map<string, Fault>();
  rateLimit: RateLimit | undefined;

  readonly #authority: Authority | undefined;
  readonly #servers: Listening[] = [];
  #cdnBase: string | undefined;
  // Redirects carry it, as a presigned URL does its signature.
  readonly #signature = randomUUID();

  constructor(options: RegistryOptions) {
    super();
    this.rateLimit = options.rateLimit;
    this.#authority = options.auth && new Authority(options.auth);
    this.tokenRequests = this.#authority?.requests ?? [];
  }

  /** Base URL, `http://127.0.0.1:<port>/`. */
  get url(): URL {
    return new URL(`http://${this.host}/`);
  }

  /** `127.0.0.1:<port>`. */
  get host(): string {
    return `127.0.0.1:${this.#servers[0]?.port}`;
  }

  /** GETs of this blob that reached the registry itself. */
  blobGets(digest: string): SeenRequest[] {
    return this.requests.filter(({ method, url }) => method === "GET" && url.includes(`/blobs/${digest}`));
  }

  /** Every token given so far stops working. */
  expireTokens(): void {
    this.#authority?.expireTokens();
  }

  /** Ends the connections that are kept for another request, so that a test can count what is left. */
  closeIdleConnections(): void {
    for (const server of this.#servers) server.closeIdle();
  }

  /** Called once, by `startRegistry`. */
  async listen(options: RegistryOptions): Promise<void> {
    try {
      await this.#serve(options.port ?? 0, this.requests, registryRoutes);
      if (options.redirectBlobs) {
        const port = await this.#serve(0, this.cdnRequests, (context) => cdnRoutes(context, this.#signature));
        this.#cdnBase = `http://localhost:${port}`;
      }
      if (this.#authority) this.#authority.realm = await this.#realm(options.auth?.realm ?? "other", this.#authority);
    } catch (err: unknown) {
      await this.close();
      throw err;
    }
  }

  /** Ends all connections, also in the middle of an answer, and frees the ports. */
  async close(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.close()));
  }

  async #realm(where: "same" | "other", authority: Authority): Promise<URL> {
    if (where === "same") return this.url;
    const port = await this.#serve(0, [], () => (req, res) => authority.giveToken(req, res));
    return new URL(`http://127.0.0.1:${port}/`);
  }

  async #serve(port: number, log: SeenRequest[], routes: (context: RouteContext) => Route): Promise<number> {
    const route = routes(this.#context());
    const server = await listen(port, (req, res) => {
      log.push(seen(req, res));
      void answer(route, req, res);
    });
    this.#servers.push(server);
    return server.port;
  }

  #context(): RouteContext {
    return {
      store: this,
      authority: this.#authority,
      rateLimit: () => this.rateLimit,
      faultOf: (digest) => this.#takeFault(digest),
      redirectOf: (repository, digest) =>
        this.#cdnBase && `${this.#cdnBase}/${repository}/${digest}?signature=${this.#signature}`,
      onBytes: (bytes) => {
        this.bytesSent += bytes;
      },
    };
  }

  #takeFault(digest: string): Fault | undefined {
    const fault = this.faults.get(digest) ?? this.fault;
    if (fault?.times === undefined) return fault;
    return fault.times-- > 0 ? fault : undefined;
  }
}

async function answer(route: Route, req: IncomingMessage, res: ServerResponse): Promise<void> {
  try {
    res.setHeader("docker-distribution-api-version", "registry/2.0");
    await route(req, res);
  } catch (err: unknown) {
    refuse(res, err);
  }
  // What a refusal left unread would otherwise keep the connection from its next request.
  req.resume();
}
