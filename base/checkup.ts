/**
 * Looks whether something works: seldom, one look at a time, and again by itself while it does not.
 */
import { setTimeout as delay } from "node:timers/promises";

/** What is looked at. */
export interface CheckupOptions<T> {
  /** Takes no longer than `maxMs`; must not reject. */
  readonly look: (signal: AbortSignal) => Promise<T>;
  readonly isWell: (found: T) => boolean;
  /** Called after each look. */
  readonly onLook?: (found: T) => void;
}

/** How long one look may take. */
const maxMs = 2_500;
/** What was found is taken for true so long; by those who ask, less while something is wrong. */
const freshMs = 5_000;
const unwellMs = 1_000;
/** Without being asked it looks again after this, while something is wrong: so its end is seen too. */
const againMs = 30_000;
/** Those who ask wait no longer than this where something is known already: health checks are impatient. */
const patienceMs = 700;

/** The state of something that can be asked for at any time. */
export class Checkup<T> {
  readonly #options: CheckupOptions<T>;
  readonly #closing = new AbortController();
  #last: { readonly found: T; readonly atMs: number } | undefined;
  #running: Promise<T> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CheckupOptions<T>) {
    this.#options = options;
  }

  /** What was found last; undefined before the first look. */
  get last(): T | undefined {
    return this.#last?.found;
  }

  /** What is so now, or was so seconds ago. */
  async ask(): Promise<T> {
    const last = this.#last;
    const isUnwell = last !== undefined && !this.#options.isWell(last.found);
    const looking = this.look(isUnwell ? unwellMs : freshMs);
    if (!last || !this.#running) return looking;
    return Promise.race([looking, delay(patienceMs, last.found, { ref: false })]);
  }

  /** Look, unless that was done less than `maxAgeMs` ago. @defaultValue 5000 */
  async look(maxAgeMs = freshMs): Promise<T> {
    const last = this.#last;
    if (last && (this.#closing.signal.aborted || performance.now() - last.atMs < maxAgeMs)) return last.found;
    this.#running ??= this.#lookNow().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** What was found is of something else. */
  forget(): void {
    this.#last = undefined;
  }

  /** Look no more. */
  close(): void {
    this.#closing.abort();
    clearTimeout(this.#timer);
  }

  async #lookNow(): Promise<T> {
    const { look, isWell, onLook } = this.#options;
    clearTimeout(this.#timer);
    const found = await look(AbortSignal.any([this.#closing.signal, AbortSignal.timeout(maxMs)]));
    this.#last = { found, atMs: performance.now() };
    if (this.#closing.signal.aborted) return found;
    onLook?.(found);
    if (!isWell(found)) this.#timer = setTimeout(() => void this.look(), againMs).unref();
    return found;
  }
}
