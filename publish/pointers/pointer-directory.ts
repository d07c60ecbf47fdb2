/**
 * Which names of pointers exist: reads a name, asks whether it may be answered, and says who does.
 */
import { parsePointerName } from "#blob/pointer-names.ts";
import type { InterestFields } from "#ndn/packet/interest.ts";
import { type Name, nameKey } from "#ndn/packet/name.ts";
import type { ObjectDirectory, Request } from "#ndn/producer.ts";
import type { PublishPolicy } from "../range-reader.ts";
import { UniqueQuestions } from "../unique-questions.ts";
import type { PointedObjects } from "./pointed-objects.ts";
import type { SignedPointers } from "./signed-pointers.ts";

const uniqueAnswersPerSecond = 200;
const uniqueAnswersAtOnce = 400;

/** What a directory is made of. */
export interface PointerDirectoryOptions {
  readonly prefix: Name;
  readonly policy: PublishPolicy;
  readonly objects: PointedObjects;
  readonly pointers: SignedPointers;
  /** Looked into for names that are not of pointers. */
  readonly others: ObjectDirectory;
  /** Called for every unique Interest. */
  readonly onUnique: (isAnswered: boolean) => void;
}

/** The names of pointers under one prefix. */
export class PointerDirectory implements ObjectDirectory {
  readonly #options: PointerDirectoryOptions;
  readonly #unique: UniqueQuestions;

  constructor(options: PointerDirectoryOptions) {
    this.#options = options;
    this.#unique = new UniqueQuestions(uniqueAnswersPerSecond, uniqueAnswersAtOnce, options.onUnique);
  }

  lookup(name: Name, interest: InterestFields): Request | undefined {
    const { prefix, policy, objects, pointers, others } = this.#options;
    const request = parsePointerName(prefix, name);
    if (request === undefined) return others.lookup(name, interest);
    const { target, isUnique } = request;
    if (!objects.has(target.kind) || ("repository" in target && !policy.allows(target.repository))) return undefined;
    if (isUnique) return this.#unique.request(name, interest, () => pointers.answerUnique(name, target));
    return { key: `pointer ${nameKey(name)}`, segment: undefined, answer: () => pointers.answer(target) };
  }
}
