/**
 * NDN is late, and the upstream is asked as well: the first of the two to bring bytes wins.
 */
import type { Semaphore } from "#base/limits.ts";
import { BlobCorrupt, type BlobRead, BlobUnavailable, type SourceName } from "./source.ts";
import { UpstreamAnswer } from "./upstream-response.ts";

/** The reason for which the slower of two reads is aborted. */
export class Overtaken extends Error {
  override readonly name = "Overtaken";
}

/** What happens to hedges, for logs and metrics. */
export interface HedgeEvents {
  /** The upstream is asked as well, because nothing has come for `waitedMs`. */
  started?(waitedMs: number): void;
  /** This one of the two did not win: it was slower (`Overtaken`), or has failed. */
  lost?(source: SourceName, err: unknown): void;
}

/** How one read of a blob is raced. */
export interface RaceOptions {
  /** Learns how long NDN takes; shared by all reads. */
  readonly delay: { observe(ms: number): void };
  /** Bounds the upstream GETs that are hedges; shared by all reads. */
  readonly limit: Semaphore;
  /**
   * Whether the puller needs a right: then "no" from the upstream (401, 403, 404) ends the read although NDN may still
   * answer, for it is newer than what the right was granted by. Every other refusal says nothing about the blob: it is
   * thrown only when NDN fails as well.
   */
  readonly needsRight: boolean;
  readonly events?: HedgeEvents | undefined;
}

/** A read that may be given up before it has brought anything: one of the two that race. */
export interface Contender {
  readonly name: SourceName;
  /** Resolves with the first bytes, or when there are none to come. */
  readonly begun: Promise<unknown>;
  /** Size of the blob, once the source has said it. */
  readonly sizeBytes: number | undefined;
  /** Why it cannot be the one that is read, once that is known. */
  failure: unknown;
  /** End it, whatever it has come to. */
  cancel(reason: unknown): void;
  /** Continue after the first bytes. */
  toRead(): Promise<BlobRead>;
}

/** One read for which NDN is late. */
export class Race {
  readonly #options: RaceOptions;
  readonly #ndn: Contender;
  readonly #signal: AbortSignal;
  readonly #beganMs: number;
  #upstream: Contender | undefined;

  /** @param beganMs - When NDN was asked, by `performance.now`. */
  constructor(options: RaceOptions, ndn: Contender, signal: AbortSignal, beganMs: number) {
    this.#options = options;
    this.#ndn = ndn;
    this.#signal = signal;
    this.#beganMs = beganMs;
  }

  /**
   * Run it to its winner, which may be NDN after all.
   *
   * @param ask - Asks the upstream; called when a permit is there.
   */
  async run(ask: () => Contender): Promise<BlobRead> {
    const permit = permitOf(this.#options.limit);
    try {
      const isFirst = await Promise.race([this.#ndn.begun.then(() => true), permit.granted.then(() => false)]);
      if (isFirst) return await this.#won(this.#ndn);
      this.#options.events?.started?.(this.#elapsedMs());
      this.#upstream = ask();
      this.#freeLater(this.#upstream, permit.giveUp);
      return await this.#won(await this.#winner(this.#upstream));
    } catch (err: unknown) {
      this.#cancelAll(err);
      throw err;
    } finally {
      if (!this.#upstream) permit.giveUp();
    }
  }

  async #winner(upstream: Contender): Promise<Contender> {
    const ndn = this.#ndn;
    const options = this.#options;
    const refused = Promise.withResolvers<never>();
    const ofUpstream = upstream.begun.catch((err: unknown) => {
      if (options.needsRight && isRefusal(err)) refused.reject(err);
      throw err;
    });
    const ofNdn = ndn.begun.then(() => agreeing(ndn, upstream));
    ofNdn.catch((err: unknown) => {
      ndn.failure = err;
    });
    const both = Promise.any([ofNdn.then(() => ndn), ofUpstream.then(() => upstream)]);
    try {
      return await Promise.race([both, refused.promise]);
    } catch (err: unknown) {
      this.#signal.throwIfAborted();
      if (!(err instanceof AggregateError)) throw err;
      const [ndnFailure, upstreamFailure] = err.errors as [unknown, unknown];
      const isForPuller = isOfSource(ndnFailure) && !isOfSource(upstreamFailure);
      this.#report(isForPuller ? ndn : upstream, isForPuller ? ndnFailure : upstreamFailure);
      throw isForPuller ? upstreamFailure : ndnFailure;
    }
  }

  #won(attempt: Contender): Promise<BlobRead> {
    const loser = attempt === this.#ndn ? this.#upstream : this.#ndn;
    const { sizeBytes, failure } = this.#ndn;
    // NDN answered and was then overtaken: it takes at least so long. One without any answer says nothing about times.
    const isMeasured = attempt === this.#ndn || (sizeBytes !== undefined && !failure);
    if (isMeasured) this.#options.delay.observe(this.#elapsedMs());
    if (loser) {
      this.#report(loser, loser.failure ?? new Overtaken(`${attempt.name} was first`));
      loser.cancel(new Overtaken(`${attempt.name} was first`));
    }
    return attempt.toRead();
  }

  #cancelAll(reason: unknown): void {
    this.#ndn.cancel(reason);
    this.#upstream?.cancel(reason);
  }

  /** The permit is free when the upstream has won or NDN has failed, which makes it the only one, or is really cancelled. */
  #freeLater(upstream: Contender, release: () => void): void {
    void Promise.race([this.#ndn.begun.then(() => upstream.begun), upstream.begun]).then(release, release);
  }

  #report({ name }: Contender, err: unknown): void {
    this.#options.events?.lost?.(name, err);
  }

  #elapsedMs(): number {
    return performance.now() - this.#beganMs;
  }
}

/** A permit that can be given up also while it is waited for. */
function permitOf(limit: Semaphore): { readonly granted: Promise<boolean>; readonly giveUp: () => void } {
  const left = new AbortController();
  const granted = limit.acquire(left.signal).then(
    () => true,
    () => false,
  );
  const giveUp = () => {
    left.abort();
    void granted.then((isGranted) => isGranted && limit.release());
  };
  return { granted, giveUp };
}

/** NDN cannot win with a blob of another size than the upstream's. */
function agreeing(ndn: Contender, upstream: Contender): void {
  if (upstream.sizeBytes === undefined || upstream.sizeBytes === ndn.sizeBytes) return;
  throw new BlobUnavailable(`${ndn.name} has ${ndn.sizeBytes} bytes, upstream ${upstream.sizeBytes}`);
}

/** A failure after which the next source may be asked. */
function isOfSource(err: unknown): boolean {
  return err instanceof BlobUnavailable || err instanceof BlobCorrupt;
}

function isRefusal(err: unknown): boolean {
  return err instanceof UpstreamAnswer && [401, 403, 404].includes(err.status);
}
