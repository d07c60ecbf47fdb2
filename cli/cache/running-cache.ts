/**
 * The cache of a client that is running, over its local admin API.
 */
import type { Agent } from "undici";
import { adminHeader } from "#client/http/admin-access.ts";
import type { AddedImage, AddProgress, AddRequest, Removed } from "#client/http/admin-images.ts";
import { adminPath, type CacheListing, type Pruned, type Verified } from "#client/http/admin-routes.ts";
import type { ErrorBody } from "#oci/errors.ts";
import { parseSha256 } from "#oci/reference.ts";
import { CommandError } from "../errors.ts";
import type { CachePort, Pinned } from "./stored-cache.ts";

const adding = "fetching the image";
const verification = "the verification";

/** The cache behind the endpoint `base`, `http://127.0.0.1:5000` or `unix:///run/client.sock`. */
export class RunningCache implements CachePort {
  readonly #base: string;
  /** To a socket file. */
  #agent: Agent | undefined;

  constructor(base: string) {
    this.#base = base;
  }

  async list(): Promise<CacheListing> {
    return (await (await this.#askFor("GET", "")).json()) as CacheListing;
  }

  async remove(text: string): Promise<Removed | undefined> {
    const digest = parseSha256(text);
    const answer = await this.#ask("DELETE", digest ? `/${digest}` : `/images?${queryOf(text)}`);
    if (answer === undefined || digest === undefined) return (await answer?.json()) as Removed | undefined;
    return { name: digest, blobs: 1, freedBytes: 0 };
  }

  async pin(text: string): Promise<Pinned> {
    return (await (await this.#askFor("POST", `/pin?${queryOf(text)}`)).json()) as Pinned;
  }

  async unpin(text: string): Promise<string> {
    const answer = await this.#askFor("POST", `/unpin?${queryOf(text)}`);
    return ((await answer.json()) as { name: string }).name;
  }

  async add({ image, platforms, onProgress }: AddRequest): Promise<AddedImage> {
    const { body } = await this.#askFor("POST", `/add?${queryOf(image, platforms)}`);
    for await (const line of outcomeLines(body!, adding)) {
      const { errors } = line as Partial<ErrorBody>;
      if (errors) throw new CommandError(errors.map(({ message }) => message).join("; "));
      if ("doneBytes" in line) onProgress(line as AddProgress);
      else return line as AddedImage;
    }
    throw brokenOff(adding);
  }

  async verify(onProgress: (checked: number, total: number) => void): Promise<Verified> {
    const { body } = await this.#askFor("POST", "/verify");
    for await (const line of outcomeLines(body!, verification)) {
      const { checked, total, bad } = line as Verified & { total?: number };
      if (bad !== undefined) return { checked, bad };
      if (total !== undefined) onProgress(checked, total);
    }
    throw brokenOff(verification);
  }

  async prune(toBytes: number): Promise<Pruned> {
    return (await (await this.#askFor("POST", `/prune?to=${toBytes}`)).json()) as Pruned;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent?.close();
  }

  async #askFor(method: string, path: string): Promise<Response> {
    const answer = await this.#ask(method, path);
    if (answer === undefined) throw new CommandError(`${method} ${this.#base}${adminPath}${path}: nothing there`);
    return answer;
  }

  /** undefined when what is to be removed is not cached. */
  async #ask(method: string, path: string): Promise<Response | undefined> {
    const url = `${this.#base}${adminPath}${path}`;
    const init = { method, headers: { [adminHeader]: "1" }, redirect: "error" } as const;
    let answer: Response;
    try {
      answer = await (this.#base.startsWith("unix:") ? this.#fetchOverFile(adminPath + path, init) : fetch(url, init));
    } catch (err: unknown) {
      const what = `the cache is in use by another process, which does not answer on ${this.#base}`;
      throw new CommandError(`${what}: stop it and try again`, { cause: err });
    }
    if (answer.ok) return answer;
    const text = await answer.text();
    const { codes, messages } = errorsIn(text);
    const isUnknown = codes.includes("BLOB_UNKNOWN") || codes.includes("MANIFEST_UNKNOWN");
    if (method === "DELETE" && isUnknown) return undefined;
    throw new CommandError(messages || `${method} ${url}: ${answer.status} ${text.slice(0, 200)}`);
  }

  /** Node's own `fetch` knows no socket files. */
  async #fetchOverFile(path: string, init: { method: string; headers: Record<string, string> }): Promise<Response> {
    const { Agent, fetch } = await import("undici");
    this.#agent ??= new Agent({ connect: { socketPath: this.#base.slice("unix://".length) } });
    return (await fetch(`http://localhost${path}`, { ...init, dispatcher: this.#agent })) as unknown as Response;
  }
}

function queryOf(image: string, platforms: readonly string[] = []): string {
  const query = new URLSearchParams({ image });
  for (const platform of platforms) query.append("platform", platform);
  return query.toString();
}

/** Lines of JSON, of which the last is the outcome. @throws CommandError when there is no such end */
async function* outcomeLines(body: ReadableStream<Uint8Array>, what: string): AsyncGenerator<object> {
  try {
    for await (const line of linesOf(body)) yield JSON.parse(line) as object;
  } catch (err: unknown) {
    throw brokenOff(what, err);
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

function brokenOff(what: string, cause?: unknown): CommandError {
  return new CommandError(`the client broke ${what} off; its log says why`, { cause });
}

function errorsIn(text: string): { codes: string[]; messages: string } {
  try {
    const { errors } = JSON.parse(text) as { errors: { code: string; message: string }[] };
    return { codes: errors.map(({ code }) => code), messages: errors.map(({ message }) => message).join("; ") };
  } catch {
    return { codes: [], messages: "" }; // not an answer of ours: something else listens there
  }
}
