/**
 * Signs answers that are true for a while: what is there, or that there is nothing. Each has a version of its own.
 */
import { TokenBucket } from "#base/limits.ts";
import { contentTypes } from "#ndn/packet/data.ts";
import { joinName, type Name, segment, version } from "#ndn/packet/name.ts";
import type { Signer } from "#ndn/trust/keychain.ts";
import { encodeSignedData } from "#ndn/trust/signed-data.ts";

/** Freshness of an answer made for one Interest, or one that may be wrong in a moment. */
export const shortFreshnessMs = 1_000;
const negativeAnswersPerSecond = 50;

/** Answers of one kind. */
export class AnswerSigner {
  #signer: Signer;
  readonly #negative = new TokenBucket(negativeAnswersPerSecond, 2 * negativeAnswersPerSecond);
  /** Microseconds since 1970, never twice the same. */
  #lastVersion = 0;

  constructor(signer: Signer) {
    this.#signer = signer;
  }

  /** Sign with another key from now on. */
  signWith(signer: Signer): void {
    this.#signer = signer;
  }

  /** What is there. @param asked - The name up to the version. */
  present(asked: Name, content: Buffer, freshnessMs: number): Promise<Buffer> {
    const fields = { contentType: contentTypes.Blob, freshnessMs, content, finalBlockIsLast: true };
    return encodeSignedData(this.#nameOf(asked), fields, this.#signer);
  }

  /** That there is nothing; undefined when that was said too often lately. */
  async absent(asked: Name): Promise<Buffer | undefined> {
    if (!this.#negative.tryTake()) return undefined;
    const fields = { contentType: contentTypes.Nack, freshnessMs: shortFreshnessMs, content: Buffer.alloc(0) };
    return encodeSignedData(this.#nameOf(asked), fields, this.#signer);
  }

  #nameOf(asked: Name): Name {
    this.#lastVersion = Math.max(this.#lastVersion + 1, Date.now() * 1000);
    return joinName(asked, version(this.#lastVersion), segment(0));
  }
}
