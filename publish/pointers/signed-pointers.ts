/**
 * Pointers, signed: what the registry says now, or that there is none.
 */
import { TokenBucket } from "#base/limits.ts";
import type { SegmentSize } from "#blob/names.ts";
import { encodePointer } from "#blob/pointer.ts";
import { type PointerTarget, pointerName } from "#blob/pointer-names.ts";
import { contentTypes } from "#ndn/packet/data.ts";
import { joinName, type Name, segment, version } from "#ndn/packet/name.ts";
import type { Signer } from "#ndn/trust/keychain.ts";
import { encodeSignedData } from "#ndn/trust/signed-data.ts";
import type { PointedObject, PointedObjects } from "./pointed-objects.ts";
import type { Recent } from "./recent-answers.ts";

/** Freshness of pointers to manifests, and to snapshots. */
const manifestFreshMs = 2_000;
const snapshotFreshMs = 5_000;
/** Of an answer made for one Interest, or one that may be wrong in a moment. */
const shortFreshMs = 1_000;
/** How long the server's word may be relied on: for as long what it points at is there. */
const maxAgeMs = 600_000;
/** Data stays below this in all, so that a link header still fits into 8800 bytes. */
const maxDataBytes = 8760;
const negativeAnswersPerSecond = 50;

/** What became of a question, for the metrics. */
export type PointerOutcome = "answered" | "absent" | "failed";

/** What pointers are made of. */
export interface SignedPointersOptions {
  readonly prefix: Name;
  readonly signer: Signer;
  readonly objects: PointedObjects;
  /** Segment size that pointers propose. */
  readonly segmentBytes: SegmentSize;
  readonly onOutcome: (target: PointerTarget, outcome: PointerOutcome, reason?: Error) => void;
}

/** Answers for pointers. */
export class SignedPointers {
  readonly #options: SignedPointersOptions;
  #signer: Signer;
  /** The packet for all who ask, by what it says: a crowd of pullers costs one signature. */
  #packets = new WeakMap<Recent<PointedObject>, Promise<Buffer | undefined>>();
  readonly #negative = new TokenBucket(negativeAnswersPerSecond, 2 * negativeAnswersPerSecond);
  /** Microseconds since 1970, never twice the same. */
  #lastVersion = 0;

  constructor(options: SignedPointersOptions) {
    this.#options = options;
    this.#signer = options.signer;
  }

  /** Sign with another key from now on: what was signed before is not sent again. */
  signWith(signer: Signer): void {
    this.#signer = signer;
    this.#packets = new WeakMap();
  }

  /** The packet for all who ask. @throws Error when the registry cannot be asked now, as the other does */
  async answer(target: PointerTarget): Promise<Buffer | undefined> {
    const found = await this.#find(target);
    const freshMs = target.kind === "tag" || target.kind === "manifest" ? manifestFreshMs : snapshotFreshMs;
    const packet = this.#packets.get(found) ?? this.#sign(pointerName(this.#options.prefix, target), found, freshMs);
    this.#packets.set(found, packet);
    return packet;
  }

  /** A packet for one Interest alone, whose name this is. */
  async answerUnique(asked: Name, target: PointerTarget): Promise<Buffer | undefined> {
    return this.#sign(asked, await this.#find(target), shortFreshMs);
  }

  async #find(target: PointerTarget): Promise<Recent<PointedObject>> {
    const { objects, onOutcome } = this.#options;
    try {
      const found = await objects.find(target);
      onOutcome(target, found.value ? "answered" : "absent");
      return found;
    } catch (err: unknown) {
      onOutcome(target, "failed", err as Error);
      throw err;
    }
  }

  /** Undefined when it was said too often lately that there is none. */
  async #sign(asked: Name, { value, asOfMs }: Recent<PointedObject>, freshMs: number): Promise<Buffer | undefined> {
    if (value === undefined && !this.#negative.tryTake()) return undefined;
    this.#lastVersion = Math.max(this.#lastVersion + 1, Date.now() * 1000);
    const name = joinName(asked, version(this.#lastVersion), segment(0));
    if (value === undefined) {
      const absent = { contentType: contentTypes.Nack, freshnessMs: shortFreshMs, content: Buffer.alloc(0) };
      return encodeSignedData(name, absent, this.#signer);
    }
    const whole = value.inline && (await this.#encode(name, value, asOfMs, freshMs));
    if (whole && whole.length <= maxDataBytes) return whole;
    return this.#encode(name, { ...value, inline: undefined }, asOfMs, freshMs);
  }

  #encode(name: Name, object: PointedObject, asOfMs: number, freshnessMs: number): Promise<Buffer> {
    const { prefix, segmentBytes } = this.#options;
    const content = encodePointer(prefix, { ...object, segmentBytes, maxAgeMs, asOfMs });
    const present = { contentType: contentTypes.Blob, freshnessMs, content, finalBlockIsLast: true };
    return encodeSignedData(name, present, this.#signer);
  }
}
