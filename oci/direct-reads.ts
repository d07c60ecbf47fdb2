import { type DirectAnswer, directGet } from "./direct-get.ts";

// A registry that redirects every blob, for example, need not be asked twice for each.
const maxMisses = 4;

/** Direct GETs of one registry, for as long as it has plain answers; see direct-get.ts. */
export class DirectReads {
  readonly #base: URL;
  readonly #timeoutMs: number;
  #misses = 0;

  /** @param timeoutMs - How long the registry may take to begin its answer. */
  constructor(base: URL, timeoutMs: number) {
    this.#base = base;
    this.#timeoutMs = timeoutMs;
  }

  /** Whether a try is worth it: only what is asked in the clear can be read directly. */
  get isPromising(): boolean {
    return this.#base.protocol === "http:" && this.#misses < maxMisses;
  }

  /** Undefined when the HTTP library has to ask. @param path - Below the base. */
  async get(
    path: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<DirectAnswer | undefined> {
    const url = new URL(this.#base.pathname.replace(/\/+$/, "") + path, this.#base);
    const answer = await directGet(url, headers, this.#timeoutMs, signal);
    this.#misses = answer ? 0 : this.#misses + 1;
    return answer;
  }
}
