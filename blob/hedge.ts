/**
 * NDN against HTTPS: when the first bytes over NDN are late, the upstream is asked as well, and the first to bring bytes
 * wins. Only the beginning of a read is raced; one that stalls later breaks off by its own timeout, and the next source
 * goes on from its byte.
 */
import type { Semaphore } from "#base/semaphore.ts";
import { Attempt } from "./attempt.ts";
import type { HedgeDelay } from "./hedge-delay.ts";
import { BlobCorrupt, type BlobRead, type BlobSource, BlobUnavailable, type SourceName } from "./source.ts";
import { UpstreamAnswer } from "./upstream-response.ts";

/** The reason for which the slower of two reads is aborted. */
export class Overtaken extends Error {
  override readonly name = "Overtaken";
}

/** Told of hedges, for logs and metrics. */
export interface HedgeEvents {
  /** The upstream is asked as well, because nothing has come for `waitedMs`. */
  started?(waitedMs: number): void;
  /** This one of the two did not win: it was slower (`Overtaken`), or has failed. */
  lost?(source: SourceName, err: unknown): void;
}

/** How one read of a blob is hedged. */
export interface HedgeOptions {
  readonly upstream: BlobSource;
  /** Shared by all reads. */
  readonly delay: HedgeDelay;
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

/**
 * A hedge for all NDN sources of one read, which share their patience: who comes second has only what the first left.
 *
 * The source that it makes has the name of the one it is given; a read that the upstream won says so in `source`. When
 * NDN fails before it is late, its failure is thrown at once: the next source is to be the upstream. With both failed it
 * is NDN's failure too, unless the upstream's answer is one that the puller has to see.
 */
export function hedgeFor(options: HedgeOptions): (ndn: BlobSource) => BlobSource {
  const patience = options.delay.delayMs();
  if (patience === undefined) return (ndn) => ndn;
  let leftMs = patience;
  return (ndn) => ({
    name: ndn.name,
    get isVerified() {
      return ndn.isVerified;
    },
    async open(blob, from, signal) {
      const began = performance.now();
      const race = new Race(options, new Attempt(ndn, blob, from, signal), signal);
      try {
        const read = await race.run(leftMs, () => new Attempt(options.upstream, blob, from, signal));
        leftMs = patience;
        return read;
      } catch (err: unknown) {
        leftMs = Math.max(0, leftMs - (performance.now() - began));
        throw err;
      }
    },
  });
}

/** One read on its way to its first bytes. */
class Race {
  private readonly options: HedgeOptions;
  private readonly ndn: Attempt;
  private readonly signal: AbortSignal;
  private readonly beganMs = performance.now();
  private upstream: Attempt | undefined;

  constructor(options: HedgeOptions, ndn: Attempt, signal: AbortSignal) {
    this.options = options;
    this.ndn = ndn;
    this.signal = signal;
  }

  async run(patienceMs: number, ask: () => Attempt): Promise<BlobRead> {
    if (!(await this.isLate(patienceMs))) return await this.won(this.ndn);
    const permit = permitOf(this.options.limit);
    try {
      const isFirst = await Promise.race([this.ndn.begun.then(() => true), permit.granted.then(() => false)]);
      if (isFirst) return await this.won(this.ndn);
      this.options.events?.started?.(this.elapsedMs());
      this.upstream = ask();
      return await this.won(await this.winner(this.upstream));
    } catch (err: unknown) {
      this.cancelAll(err);
      throw err;
    } finally {
      this.freeLater(permit.giveUp);
    }
  }

  /** Whether the time is over before the first bytes are there. */
  private async isLate(patienceMs: number): Promise<boolean> {
    const { promise: late, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(true), patienceMs);
    try {
      return await Promise.race([this.ndn.begun.then(() => false), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  private async winner(upstream: Attempt): Promise<Attempt> {
    const { ndn, options } = this;
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
      this.signal.throwIfAborted();
      if (!(err instanceof AggregateError)) throw err;
      const [ndnFailure, upstreamFailure] = err.errors as [unknown, unknown];
      const isForPuller = isOfSource(ndnFailure) && !isOfSource(upstreamFailure);
      this.report(isForPuller ? ndn : upstream, isForPuller ? ndnFailure : upstreamFailure);
      throw isForPuller ? upstreamFailure : ndnFailure;
    }
  }

  private won(attempt: Attempt): Promise<BlobRead> {
    const loser = attempt === this.ndn ? this.upstream : this.ndn;
    this.learn(attempt);
    if (loser) {
      this.report(loser, loser.failure ?? new Overtaken(`${attempt.name} was first`));
      loser.cancel(new Overtaken(`${attempt.name} was first`));
    }
    return attempt.toRead();
  }

  /** One who was answered and then overtaken takes at least so long; who got no answer at all says nothing about times. */
  private learn(winner: Attempt): void {
    const { ndn, options } = this;
    if (winner === ndn || (ndn.sizeBytes !== undefined && !ndn.failure)) options.delay.observe(this.elapsedMs());
  }

  private cancelAll(reason: unknown): void {
    this.ndn.cancel(reason);
    this.upstream?.cancel(reason);
  }

  /** The place is free when the upstream has won, which makes it the only one, or is really cancelled. */
  private freeLater(release: () => void): void {
    if (this.upstream) void this.upstream.begun.then(release, release);
    else release();
  }

  private report({ name }: Attempt, err: unknown): void {
    this.options.events?.lost?.(name, err);
  }

  private elapsedMs(): number {
    return performance.now() - this.beganMs;
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
    void granted.then((isCached) => isCached && limit.release());
  };
  return { granted, giveUp };
}

/** NDN cannot win with a blob of another size than the upstream's. */
function agreeing(ndn: Attempt, upstream: Attempt): void {
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
