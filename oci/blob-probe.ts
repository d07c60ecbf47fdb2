/**
 * Whether a registry gives a blob, and how long it is, asked with as few bytes as it answers.
 *
 * HEAD is a hint: registries and their storage refuse it although a GET works (a URL that is signed for GET only), or
 * answer it with nothing (OCI distribution-spec § Checking if content exists in the registry says MUST; many do not).
 * Then a GET of the first byte decides.
 */
import type { IncomingHttpHeaders } from "node:http";
import { withTimeout } from "#base/abort.ts";
import { isEncoded, parseContentRange } from "./body-headers.ts";
import { type Digest, emptyDigest } from "./reference.ts";
import type { BlobResponse, RegistryClient, RequestOptions } from "./registry-client.ts";

/** What a registry says about one blob. */
export interface BlobStanding {
  /** 200, or the status with which it is refused. */
  readonly status: number;
  /** As far as it is said. */
  readonly sizeBytes: number | undefined;
}

/** The part of a registry that is asked. */
export type ProbedRegistry = Pick<RegistryClient, "headBlob" | "getBlob">;

/** How it is asked. */
export interface ProbeOptions extends Pick<RequestOptions, "auth" | "signal"> {
  /**
   * Whether it is worth a GET when the HEAD says that the registry is out of order (5xx): not where something else
   * decides then. @defaultValue true
   */
  readonly insists?: boolean | undefined;
}

/** A HEAD without an answer is one that does not work. */
const headTimeoutMs = 10_000;
const skipHeadForMs = 3_600_000;
const bodyBytes = 64 * 1024;

/** Asks one registry, and remembers for an hour that its HEAD is of no use. */
export class BlobProbe {
  readonly #registry: ProbedRegistry;
  readonly #now: () => number;
  readonly #headTimeoutMs: number;
  #skipHeadUntilMs = Number.NEGATIVE_INFINITY;

  /** @param options - `now` in milliseconds of a clock that never goes back; `headTimeoutMs` is 10000 unless set. */
  constructor(registry: ProbedRegistry, options: { now?: () => number; headTimeoutMs?: number } = {}) {
    this.#registry = registry;
    this.#now = options.now ?? (() => performance.now());
    this.#headTimeoutMs = options.headTimeoutMs ?? headTimeoutMs;
  }

  /** Whether its HEAD has not been seen to fail lately where a GET is answered. */
  get believesHead(): boolean {
    return this.#now() >= this.#skipHeadUntilMs;
  }

  /** @throws RegistryUnreachable, and the signal's reason. */
  async ask(repository: string, digest: Digest, question: ProbeOptions): Promise<BlobStanding> {
    const head = this.believesHead ? await this.#head(repository, digest, question) : undefined;
    if (head) return head;
    const standing = await this.#get(repository, digest, question);
    if (standing.status === 200) this.#skipHeadUntilMs = this.#now() + skipHeadForMs;
    return standing;
  }

  /** Undefined where a GET has to decide. */
  async #head(repository: string, digest: Digest, options: ProbeOptions): Promise<BlobStanding | undefined> {
    const { auth, signal, insists = true } = options;
    try {
      const ask = (bounded: AbortSignal) => this.#registry.headBlob(repository, digest, { auth, signal: bounded });
      const { status, headers } = await withTimeout(this.#headTimeoutMs, signal, ask);
      const isFinal = status === 429 || (status >= 500 && !insists); // over quota: to ask more often does not help
      if (isFinal) return { status, sizeBytes: undefined };
      if (status < 200 || status > 299) return undefined;
      const isEmptyAnswer = headers["content-length"] === "0" && digest !== emptyDigest;
      return isEmptyAnswer ? undefined : { status: 200, sizeBytes: lengthIn(headers, digest) };
    } catch {
      signal.throwIfAborted();
      return undefined; // what is wrong, the GET says as well
    }
  }

  async #get(repository: string, digest: Digest, { auth, signal }: ProbeOptions): Promise<BlobStanding> {
    const response = await this.#registry.getBlob(repository, digest, { auth, signal, range: { start: 0, end: 1 } });
    letGo(response);
    const { status, headers } = response;
    if (status === 206 || status === 416) return { status: 200, sizeBytes: totalIn(headers) };
    if (status === 200) return { status, sizeBytes: lengthIn(headers, digest) };
    return { status, sizeBytes: undefined };
  }
}

function lengthIn(headers: IncomingHttpHeaders, digest: Digest): number | undefined {
  const length = headers["content-length"] ?? "";
  if (isEncoded(headers) || !/^\d{1,15}$/.test(length)) return undefined;
  return Number(length) > 0 || digest === emptyDigest ? Number(length) : undefined;
}

function totalIn(headers: IncomingHttpHeaders): number | undefined {
  return isEncoded(headers) ? undefined : parseContentRange(headers["content-range"])?.sizeBytes || undefined;
}

/** A short body is read, so that its connection can be used again; a registry that ignores ranges sends a long one. */
function letGo({ headers, body }: BlobResponse): void {
  body.on("error", () => {});
  if (Number(headers["content-length"]) <= bodyBytes) body.resume();
  else body.destroy();
}
