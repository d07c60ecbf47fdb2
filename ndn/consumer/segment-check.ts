/**
 * Comparing the segments of one object with their digests, before any of their bytes leave a fetch.
 *
 * Hot path: one sha256 per packet, over the bytes as they lie in the receive buffer. Digests are compared as hex: Node
 * makes a string of a hash in a sixth less time per packet than a Buffer, hashing included (`npm run bench -- --only
 * checked`).
 */
import { hash } from "node:crypto";
import type { SegmentDataEncoder } from "../packet/data.ts";
import { fullName, joinName, type Name, segment } from "../packet/name.ts";
import { maxPacketBytes } from "../packet/tlv.ts";
import { copyRing } from "./ring.ts";

/** How a wrong segment was replaced. */
export type Repair = "implicit-digest" | "elsewhere";

/** What is known of the packets of an object; made for one fetch. */
export interface SegmentCheck {
  /** Encoder of the object: the same bytes from every honest producer. */
  readonly encoder: SegmentDataEncoder;
  /** Segment `n` is about to be asked for: its digest will be needed. */
  expect(n: number): void;
  /** Implicit digest of the packet of segment `n`, lower-case hex; undefined while it is not known. */
  digestOf(n: number): string | undefined;
  /** Which list of digests `n` is in: segments that are poisoned together are likely to be in one. */
  groupOf(n: number): number;
  /** Bytes of segment `n` from somewhere else; undefined when they cannot be had. They are compared as well. */
  repair(n: number): Promise<Buffer | undefined>;
  /** A packet of segment `n` was not the right one. */
  onWrong(n: number): void;
  /** Segment `n` was wrong and is right now. */
  onRepaired(n: number, how: Repair): void;
  /** Set by the fetch: to be called when digests have become known, or with the reason why they never will. */
  listener: ((failure?: Error) => void) | undefined;
}

/** What a comparison says: `unknown` while the digest is not there. */
export type Verdict = "right" | "wrong" | "unknown";

/** So many wrong segments in one group, and all others of it are asked by their full name at once. */
const wrongUntilFullNames = 3;

/** The state of the comparisons of one fetch. */
export class CheckedSegments {
  readonly check: SegmentCheck;
  readonly #object: Name;
  #capacity: number;
  /** Digests of packets that came before theirs was known, by number modulo capacity. */
  #early: (string | undefined)[];
  /** Interests by the plain name that may still be answered, by number modulo capacity. */
  #plain: Uint8Array;
  /** Segments that are being replaced. */
  readonly #repairs = new Map<number, Repair>();
  readonly #wrongInGroup = new Map<number, number>();
  readonly #packet = Buffer.allocUnsafeSlow(maxPacketBytes);

  constructor(check: SegmentCheck, object: Name, capacity: number) {
    this.check = check;
    this.#object = object;
    this.#capacity = capacity;
    this.#early = new Array<undefined>(capacity).fill(undefined);
    this.#plain = new Uint8Array(capacity);
  }

  /** Make room for more numbers, at least twice as many; those below `first` are of no interest any more. */
  enlarge(capacity: number, first: number): void {
    const [early, plain] = [this.#early, this.#plain];
    this.#capacity = capacity;
    this.#early = new Array<undefined>(capacity).fill(undefined);
    this.#plain = new Uint8Array(capacity);
    copyRing(early, this.#early, first);
    copyRing(plain, this.#plain, first);
  }

  /** Compare the packet of segment `n` that lies in `buf[start, end)`. */
  judge(n: number, buf: Buffer, start: number, end: number): Verdict {
    const digest = hash("sha256", buf.subarray(start, end), "hex");
    const expected = this.check.digestOf(n);
    if (expected !== undefined) return digest === expected ? "right" : "wrong";
    this.#early[n % this.#capacity] = digest;
    return "unknown";
  }

  /** Compare a payload that came under another name, as the packet that it should have been in. */
  judgePayload(n: number, buf: Buffer, start: number, end: number): Verdict {
    if (this.check.encoder.sizeof(n, end - start) > this.#packet.length) return "wrong";
    return this.judge(n, this.#packet, 0, this.check.encoder.write(this.#packet, 0, n, buf, start, end));
  }

  /** Compare segment `n`, which came before its digest was known. */
  judgeEarly(n: number): Verdict {
    const expected = this.check.digestOf(n);
    if (expected === undefined) return "unknown";
    return this.#early[n % this.#capacity] === expected ? "right" : "wrong";
  }

  /**
   * A packet of `n` was wrong.
   * @returns how to replace it; undefined when that is under way, and this was an answer to an older Interest.
   */
  wrong(n: number): Repair | undefined {
    this.check.onWrong(n);
    const tried = this.#repairs.get(n);
    const isOld = tried === "implicit-digest" && this.#plain[n % this.#capacity]! > 0;
    if (this.#plain[n % this.#capacity]! > 0) this.#plain[n % this.#capacity]!--;
    if (tried === "elsewhere" || isOld) return undefined;
    if (tried === undefined) {
      const group = this.check.groupOf(n);
      this.#wrongInGroup.set(group, (this.#wrongInGroup.get(group) ?? 0) + 1);
    }
    const how = tried === undefined ? "implicit-digest" : "elsewhere";
    this.#repairs.set(n, how);
    return how;
  }

  /** Segment `n` stays unanswered. @returns whether it is to be looked for elsewhere, because it was asked by full name. */
  silent(n: number): boolean {
    if (this.#repairs.get(n) !== "implicit-digest") return false;
    this.#repairs.set(n, "elsewhere");
    return true;
  }

  /** Segment `n` is right now. */
  right(n: number): void {
    this.#plain[n % this.#capacity] = 0;
    const how = this.#repairs.get(n);
    if (how === undefined) return;
    this.#repairs.delete(n);
    this.check.onRepaired(n, how);
  }

  /** The full name to ask segment `n` by now; undefined when that is its plain name. */
  fullName(n: number): Name | undefined {
    const isPoisoned = (this.#wrongInGroup.get(this.check.groupOf(n)) ?? 0) >= wrongUntilFullNames;
    const digest = isPoisoned || this.#repairs.has(n) ? this.check.digestOf(n) : undefined;
    if (digest !== undefined) return fullName(joinName(this.#object, segment(n)), Buffer.from(digest, "hex"));
    this.#plain[n % this.#capacity] = Math.min(255, this.#plain[n % this.#capacity]! + 1);
    return undefined;
  }
}
