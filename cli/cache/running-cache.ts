/**
 * The cache of a client that is running, over its local admin API.
 */
import { adminHeader } from "#client/http/admin-access.ts";
import { adminPath, type CacheListing, type Pruned, type Verified } from "#client/http/admin-routes.ts";
import type { Digest } from "#oci/digest.ts";
import { CommandError } from "../errors.ts";
import type { CachePort } from "./stored-cache.ts";

/** The cache behind the endpoint `base`, `http://127.0.0.1:5000`. */
export class RunningCache implements CachePort {
  readonly #base: string;

  constructor(base: string) {
    this.#base = base;
  }

  async list(): Promise<CacheListing> {
    return (await (await this.#askFor("GET", "")).json()) as CacheListing;
  }

  async delete(digest: Digest): Promise<boolean> {
    const answer = await this.#ask("DELETE", `/${digest}`);
    return answer !== undefined;
  }

  async verify(onProgress: (checked: number, total: number) => void): Promise<Verified> {
    const { body } = await this.#askFor("POST", "/verify");
    try {
      for await (const line of linesOf(body!)) {
        const { checked, total, bad } = JSON.parse(line) as Verified & { total?: number };
        if (bad !== undefined) return { checked, bad };
        if (total !== undefined) onProgress(checked, total);
      }
    } catch (err: unknown) {
      throw brokenOff(err);
    }
    throw brokenOff(undefined);
  }

  async prune(toBytes: number): Promise<Pruned> {
    return (await (await this.#askFor("POST", `/prune?to=${toBytes}`)).json()) as Pruned;
  }

  /** Nothing is open between two requests. */
  async [Symbol.asyncDispose](): Promise<void> {}

  async #askFor(method: string, path: string): Promise<Response> {
    const answer = await this.#ask(method, path);
    if (answer === undefined) throw new CommandError(`${method} ${this.#base}${adminPath}${path}: nothing there`);
    return answer;
  }

  /** undefined when the client says that it does not hold the blob. */
  async #ask(method: string, path: string): Promise<Response | undefined> {
    const url = `${this.#base}${adminPath}${path}`;
    let answer: Response;
    try {
      answer = await fetch(url, { method, headers: { [adminHeader]: "1" }, redirect: "error" });
    } catch (err: unknown) {
      const what = `the cache is in use by another process, which does not answer on ${this.#base}`;
      throw new CommandError(`${what}: stop it and try again`, { cause: err });
    }
    if (answer.ok) return answer;
    const text = await answer.text();
    const { codes, messages } = errorsIn(text);
    if (codes.includes("BLOB_UNKNOWN")) return undefined;
    throw new CommandError(`${method} ${url}: ${answer.status} ${messages || text.slice(0, 200)}`);
  }
}

async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const piece of body) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

function brokenOff(cause: unknown): CommandError {
  return new CommandError("the client broke the verification off; its log says why", { cause });
}

function errorsIn(text: string): { codes: string[]; messages: string } {
  try {
    const { errors } = JSON.parse(text) as { errors: { code: string; message: string }[] };
    return { codes: errors.map(({ code }) => code), messages: errors.map(({ message }) => message).join("; ") };
  } catch {
    return { codes: [], messages: "" }; // not an answer of ours: something else listens there
  }
}
