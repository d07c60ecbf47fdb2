/**
 * One read's turn on an uplink, and whether the read makes use of it.
 */
import type { ResumePoint } from "#blob/source.ts";

/** Reads up to this size are small. */
const smallBytes = 256 * 1024;
/** One that waits for the path in a smaller part of the time has a reader that is slower than the path. */
const usingShare = 1 / 4;
/** Of one look among all before it: a moment says nothing. */
const newestWeight = 0.2;
/** One that is not answered in this time keeps no one waiting: no server is there, or the upstream is slow to grant it. */
const openingMs = 1_000;

/** `spare`: no one waits for it. */
export type ReadKind = "small" | "large" | "spare";

/** What a read wants of an uplink. */
export interface TurnWish extends Pick<ResumePoint, "arrived" | "isWaitedFor"> {
  /** Of what it reads, where that is known; may become known while it waits. */
  sizeBytes?: number | undefined;
}

/** How a {@link Turn} reaches the others. */
interface TurnEvents {
  onChange(): void;
  pause(): Promise<void> | undefined;
  onEnd(): void;
}

/** Made by `Turns.take`. */
export class Turn {
  /** Its turn has come. */
  hasBegun = false;
  waitsSinceMs = 0;
  readonly #wish: TurnWish;
  readonly #events: TurnEvents;
  #admit = () => {};
  #beganMs = 0;
  #isOpen = false;
  /** The part of the time in which it waited for the path; the last looks count most. */
  #share = 1;
  /** It has given way, and is back for what its reader, which is slower than the path, takes next. */
  isResumed = false;
  #awaitedMs = 0;
  #askedAtMs: number | undefined;

  constructor(wish: TurnWish, events: TurnEvents) {
    this.#wish = wish;
    this.#events = events;
  }

  get kind(): ReadKind {
    const { isWaitedFor, sizeBytes = Number.POSITIVE_INFINITY } = this.#wish;
    if (isWaitedFor?.() === false) return "spare";
    return sizeBytes <= smallBytes ? "small" : "large";
  }

  /** Whether it waits for the path, and not the path for its reader. */
  get isUsing(): boolean {
    return this.#share >= usingShare;
  }

  waits(nowMs: number, admit: () => void): void {
    this.waitsSinceMs = nowMs;
    this.#admit = admit;
  }

  /** Those who ask whether it is silent are told that it is not. */
  stillWaits(): void {
    this.#wish.arrived?.();
  }

  begins(nowMs: number): void {
    this.isResumed = this.hasBegun && this.kind !== "spare";
    this.hasBegun = true;
    this.#beganMs = nowMs;
    this.#share = 1;
    this.#admit();
  }

  /** To be called again and again, each time with the milliseconds since the last time. */
  judge(nowMs: number, elapsedMs: number): void {
    if (!this.#isOpen) {
      this.#share = nowMs - this.#beganMs < openingMs ? 1 : 0;
      return;
    }
    const isAsking = this.#askedAtMs !== undefined;
    if (isAsking) this.brought();
    this.#share += newestWeight * (Math.min(1, this.#awaitedMs / elapsedMs) - this.#share);
    this.#awaitedMs = 0;
    if (isAsking) this.asks();
  }

  /** The source serves so many bytes. */
  opened(sizeBytes: number): void {
    this.#isOpen = true;
    this.#wish.sizeBytes = sizeBytes;
    this.#events.onChange();
  }

  /** The next piece is asked for. */
  asks(): void {
    this.#askedAtMs = performance.now();
  }

  /** It has come. */
  brought(): void {
    this.#awaitedMs += performance.now() - this.#askedAtMs!;
    this.#askedAtMs = undefined;
  }

  /** Whether others come first: to be waited for before the next piece is asked for. @throws The signal's reason. */
  pause(): Promise<void> | undefined {
    return this.#events.pause();
  }

  readonly end = (): void => this.#events.onEnd();
}
