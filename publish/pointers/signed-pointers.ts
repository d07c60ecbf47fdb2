/**
 * Pointers, signed: what the registry says now, or that there is none.
 */
import { maxDataBytes, type SegmentSize } from "#blob/names.ts";
import { encodePointer } from "#blob/pointer.ts";
import { type PointerTarget, pointerName } from "#blob/pointer-names.ts";
import type { Name } from "#ndn/packet/name.ts";
import type { Signer } from "#ndn/trust/keychain.ts";
import { AnswerSigner, shortFreshnessMs } from "../answer-signer.ts";
import type { PointedObject, PointedObjects } from "./pointed-objects.ts";
import type { Recent } from "./recent-answers.ts";

/** Freshness of pointers to manifests, and to snapshots. */
const manifestFreshMs = 2_000;
const snapshotFreshMs = 5_000;
/** How long the server's word may be relied on: for as long what it points at is there. */
const maxAgeMs = 600_000;

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
  readonly #signer: AnswerSigner;
  /** The packet for all who ask, by what it says: a crowd of pullers costs one signature. */
  #packets = new WeakMap<Recent<PointedObject>, Promise<Buffer | undefined>>();

  constructor(options: SignedPointersOptions) {
    this.#options = options;
    this.#signer = new AnswerSigner(options.signer);
  }

  /** Sign with another key from now on: what was signed before is not sent again. */
  signWith(signer: Signer): void {
    this.#signer.signWith(signer);
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
    return this.#sign(asked, await this.#find(target), shortFreshnessMs);
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
    if (value === undefined) return this.#signer.absent(asked);
    const whole = value.inline && (await this.#encode(asked, value, asOfMs, freshMs));
    if (whole && whole.length <= maxDataBytes) return whole;
    return this.#encode(asked, { ...value, inline: undefined }, asOfMs, freshMs);
  }

  #encode(asked: Name, object: PointedObject, asOfMs: number, freshnessMs: number): Promise<Buffer> {
    const { prefix, segmentBytes } = this.#options;
    const content = encodePointer(prefix, { ...object, segmentBytes, maxAgeMs, asOfMs });
    return this.#signer.present(asked, content, freshnessMs);
  }
}
