/**
 * Questions that no cache can answer, for answers that are made for one Interest alone and cost a signature each.
 */
import { TokenBucket } from "#base/limits.ts";
import { endsInParametersDigest, type InterestFields } from "#ndn/packet/interest.ts";
import { type Name, nameKey } from "#ndn/packet/name.ts";
import type { Request } from "#ndn/producer.ts";

/** How many of one kind are answered. */
export class UniqueQuestions {
  readonly #few: TokenBucket;
  readonly #onUnique: (isAnswered: boolean) => void;

  /** @param onUnique - Called for every one of them. */
  constructor(perSecond: number, atOnce: number, onUnique: (isAnswered: boolean) => void) {
    this.#few = new TokenBucket(perSecond, atOnce);
    this.#onUnique = onUnique;
  }

  /** The request that an Interest is, if it is a true one; it is answered if there have not been many. */
  request(name: Name, interest: InterestFields, answer: Request["answer"]): Request | undefined {
    if (!endsInParametersDigest(name, interest)) return undefined;
    const answerIfFew = async () => {
      const isAnswered = this.#few.tryTake();
      this.#onUnique(isAnswered);
      return isAnswered ? answer() : undefined;
    };
    return { key: `unique ${nameKey(name)}`, segment: undefined, answer: answerIfFew };
  }
}
