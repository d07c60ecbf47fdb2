/**
 * Questions that many ask at a time, and again and again: the registry is asked once within a time.
 */
import { LRUCache } from "lru-cache";

/** What the registry said, and when it was asked. Those who share an answer get the same object. */
export interface Recent<T> {
  /** Undefined: that there is none. */
  readonly value: T | undefined;
  /** In milliseconds since 1970. */
  readonly asOfMs: number;
}

/** Answers remembered at a time; each may have some kilobytes. */
const maxRemembered = 1024;

interface Entry<T> {
  /** By a clock that is never set. */
  readonly askedAtMs: number;
  readonly answer: Promise<Recent<T>>;
  /** There is none, or the question failed. */
  isVain: boolean;
}

/** The latest answers to questions of one kind, by their key. */
export class RecentAnswers<T> {
  readonly #entries = new LRUCache<string, Entry<T>>({ max: maxRemembered });
  readonly #sharedMs: number;
  readonly #vainMs: number;

  /**
   * @param sharedMs - For how long after the registry was asked those who ask the same get its answer.
   * @param vainMs - The same when it says that there is none, or cannot be asked.
   */
  constructor(sharedMs: number, vainMs: number) {
    this.#sharedMs = sharedMs;
    this.#vainMs = vainMs;
  }

  /** The shared answer, which may be on its way, else a new one. What `question` throws is shared as well. */
  ask(key: string, question: () => Promise<T | undefined>): Promise<Recent<T>> {
    const known = this.#entries.get(key);
    const nowMs = performance.now();
    if (known && nowMs - known.askedAtMs < (known.isVain ? this.#vainMs : this.#sharedMs)) return known.answer;
    const asOfMs = Date.now();
    const answer = question().then((value) => ({ value, asOfMs }));
    const entry: Entry<T> = { askedAtMs: nowMs, answer, isVain: false };
    answer.then(
      ({ value }) => {
        entry.isVain = value === undefined;
      },
      () => {
        entry.isVain = true;
      },
    );
    this.#entries.set(key, entry);
    return answer;
  }
}
