/**
 * How long an upstream is waited for where something else can answer in its place: slow is not down.
 */
import { HelpFailed, RegistryUnreachable } from "#oci/errors.ts";
import { isLostConnection } from "#oci/registry-http.ts";

/** Times in milliseconds. */
export interface WaitOptions {
  /** How long an answer may take when the cache can answer instead (`--tag-timeout`). @defaultValue 4000 */
  readonly withCacheMs?: number | undefined;
  /** The same, for 30 s after it was silent for half a minute, or could not be connected to. @defaultValue 1000 */
  readonly afterSilenceMs?: number | undefined;
  /**
   * Whether one late answer is silence until the upstream answers anything: where what is served in its place cannot be
   * out of date. @defaultValue false
   */
  readonly isLateSilent?: boolean | undefined;
  /** A clock that never goes back. @defaultValue performance.now */
  readonly now?: (() => number) | undefined;
}

const silenceHoldsMs = 30_000;
const lateMs = 30_000;
/** Questions at a time whose answers are late; beyond that they are broken off. */
const maxLate = 32;

/** What is known of how soon one upstream answers. */
export class UpstreamWait {
  readonly #options: WaitOptions;
  readonly #now: () => number;
  #silentUntilMs = Number.NEGATIVE_INFINITY;
  #late = 0;

  constructor(options: WaitOptions = {}) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** For how long the next question is waited for. */
  get nextMs(): number {
    const { withCacheMs = 4_000, afterSilenceMs = 1_000 } = this.#options;
    return this.#now() < this.#silentUntilMs ? Math.min(afterSilenceMs, withCacheMs) : withCacheMs;
  }

  /** Learns from an answer, whenever it comes: whatever it says, the upstream is not silent. The same promise. */
  watch<T>(answer: Promise<T>): Promise<T> {
    const onFailure = (err: unknown) => isNoConnection(err) && this.#noteSilence();
    answer.then(() => (this.#silentUntilMs = Number.NEGATIVE_INFINITY), onFailure);
    return answer;
  }

  /**
   * Undefined when a watched answer takes longer. Then it is waited for half a minute more, so that it is heard; `over`
   * ends that. What `gone` ends says nothing of the upstream.
   */
  async inTime<T>(answer: Promise<T>, over: AbortController, gone?: AbortSignal): Promise<T | undefined> {
    const first = await within(answer, this.nextMs);
    if (first === undefined) this.#goOn(answer, over, gone);
    return first;
  }

  #goOn(answer: Promise<unknown>, over: AbortController, gone?: AbortSignal): void {
    const silent = () => void (gone?.aborted || this.#noteSilence());
    if (this.#options.isLateSilent) silent();
    if (this.#late >= maxLate) {
      answer.catch(() => {}); // of our own abort
      over.abort();
      return;
    }
    this.#late += 1;
    const timer = setTimeout(() => over.abort(), lateMs).unref();
    // A pull asks many things: they need not all wait for long. That it is slow proves nothing.
    void answer.catch(silent).finally(() => {
      clearTimeout(timer);
      this.#late -= 1;
    });
  }

  #noteSilence(): void {
    this.#silentUntilMs = this.#now() + silenceHoldsMs;
  }
}

/** Undefined when it takes longer. */
export async function within<T>(answer: Promise<T>, timeoutMs: number): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(late.resolve, timeoutMs, undefined);
  try {
    return await Promise.race([answer, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** A connection that broke, or help of other hosts that failed, does not say that the upstream is out of reach. */
function isNoConnection(err: unknown): boolean {
  return err instanceof RegistryUnreachable && !(err instanceof HelpFailed) && !isLostConnection(err);
}
