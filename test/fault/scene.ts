/** What a case of the fault suite has in its hands, and what it says of itself. */
import { digestOf, randomBytesOf } from "#test/support/random-bytes.ts";
import { seededRandom } from "#test/support/seeded-random.ts";
import { type Pull, type PullOptions, pull } from "./pull.ts";
import { type Rig, repository } from "./rig.ts";

/** A blob that the client holds back until it is checked. */
export const cachedBytes = 3_000_000;
/** A blob that flows while it arrives. */
export const streamedBytes = 12_000_000;

/** One faulty part. */
export interface FaultCase {
  readonly name: string;
  /** Whether a pull may end in a clean break: bytes were forged that nothing can replace, or no good source was left. */
  readonly mayBreak?: boolean;
  /** Whether a pull may last as long as the puller waits: the only source that is left is silent. @defaultValue false */
  readonly mayWait?: boolean;
  /** Whether it is in the short form, which every test run includes. @defaultValue false */
  readonly isShort?: boolean;
  /** How long the programs get to let go of what they cached for it. @defaultValue 12000 */
  readonly settleMs?: number;
  run(scene: Scene): Promise<Pull | readonly Pull[]>;
}

/** One run of one case. */
export class Scene {
  readonly rig: Rig;
  readonly random: () => number;
  /** Blobs that were pulled, to be pulled once more when all is well. */
  readonly pulled = new Set<string>();
  readonly #seed: string;
  readonly #undo = new AsyncDisposableStack();
  readonly #digests: string[] = [];
  #blobs = 0;

  constructor(rig: Rig, caseName: string, seed: number) {
    this.rig = rig;
    this.#seed = `${caseName} ${seed}`;
    this.random = seededRandom(Number.parseInt(digestOf(Buffer.from(this.#seed)).slice(7, 15), 16));
  }

  /** A blob that nobody on the way has ever seen; `forget` takes it away. */
  freshBlob(sizeBytes: number): string {
    this.#blobs += 1;
    const digest = this.rig.registry.addBlob(repository, randomBytesOf(`${this.#seed} ${this.#blobs}`, sizeBytes));
    this.#digests.push(digest);
    return digest;
  }

  pull(digest: string, options?: PullOptions): Promise<Pull> {
    this.pulled.add(digest);
    return pull(this.rig.urlOf(digest), digest, options);
  }

  /** Pull a fresh blob and do the deed when a part of it, chosen by the seed, has come. */
  async pullAcross(sizeBytes: number, deed: () => void | Promise<void>, options: PullOptions = {}): Promise<Pull> {
    const digest = this.freshBlob(sizeBytes);
    const bytes = Math.floor((0.05 + 0.5 * this.random()) * sizeBytes);
    let done: Promise<void> | undefined;
    const act = () => {
      done = Promise.resolve(deed());
      done.catch(() => undefined); // awaited below
    };
    const result = await this.pull(digest, { ...options, at: { bytes, act } });
    if (done === undefined) act(); // a blob that is cached came in one go
    await done;
    return result;
  }

  /** Have something undone after the case, in reverse order. */
  defer(undo: () => void | Promise<void>): void {
    this.#undo.defer(undo);
  }

  async end(): Promise<void> {
    await this.#undo.disposeAsync();
  }

  /** Take the blobs away again. */
  forget(): void {
    for (const digest of this.#digests) this.rig.registry.open(repository).blobs.delete(digest);
  }
}
