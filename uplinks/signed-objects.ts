/**
 * What a registry's servers sign, and the objects that it names, over whichever uplink answers: pointers and metadata
 * for those who have an anchor.
 */
import { reasonOf } from "#base/errors.ts";
import type { NamedObject } from "#blob/named-object.ts";
import type { BlobRead } from "#blob/source.ts";
import type { Name } from "#ndn/packet/name.ts";
import { Untrusted } from "#ndn/trust/errors.ts";
import type { SignedData } from "#ndn/trust/signed-data.ts";
import type { Verifier } from "#ndn/trust/verifier.ts";
import type { PathToRegistry } from "./path-trouble.ts";
import type { UplinkChoice } from "./uplink-choice.ts";

/** Signed packets and objects under one prefix. */
export interface SignedObjects {
  readonly prefix: Name;
  /**
   * Ask for a packet whose signature leads to an anchor, with CanBePrefix and MustBeFresh; whether it is the newest one
   * is for the caller to judge.
   *
   * @param isUnique - Past all caches: the answer is made for this question.
   * @throws NoAnswer
   */
  ask(name: Name, isUnique: boolean, signal: AbortSignal): Promise<SignedData>;
  /**
   * Read an object; each packet is checked, and its digest is the caller's to compare.
   *
   * @throws BlobUnavailable, also from the chunks.
   */
  read(object: NamedObject, signal: AbortSignal): BlobRead | undefined;
}

/** No uplink brought a packet that is trusted; it may be there all the same. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
}

/** A path with what says whether its packets are trusted. */
export type VerifiedPath = PathToRegistry & { readonly verifier: Verifier; untrusted(name: Name, reason: Error): void };

/** Answers of others take no longer; a server may have to ask its registry first. */
const answerMs = 2_000;
const patienceMs = 8_000;
const triedPaths = 2;

/** Read over the paths of one registry, those that blobs use first. */
export function signedObjects(
  prefix: Name,
  paths: readonly VerifiedPath[],
  choice: Pick<UplinkChoice<PathToRegistry>, "isBackingOff">,
): SignedObjects {
  const inOrder = () => {
    const up = paths.filter(({ uplink }) => uplink.face !== undefined);
    // One on which no one answered lately is asked last, and not left out: this costs a packet.
    return up.toSorted((a, b) => Number(choice.isBackingOff(a)) - Number(choice.isBackingOff(b)));
  };
  return {
    prefix,
    async ask(name, isUnique, signal) {
      const failures: Error[] = [];
      for (const path of inOrder().slice(0, triedPaths)) {
        try {
          return await askOver(path, name, isUnique, signal);
        } catch (err: unknown) {
          signal.throwIfAborted();
          failures.push(err as Error);
        }
      }
      const [first] = failures;
      const reason = first ? reasonOf(first) : "no uplink is up";
      throw new NoAnswer(reason, { cause: new AggregateError(failures, reason) });
    },
    read: (object, signal) => inOrder()[0]?.source.openObject(object, signal),
  };
}

async function askOver(path: VerifiedPath, name: Name, isUnique: boolean, signal: AbortSignal): Promise<SignedData> {
  const limits = { timeoutMs: answerMs, isPatient: (waitedMs: number) => waitedMs < patienceMs };
  const packet = await path.interests.express(name, limits, signal, { isUnique });
  try {
    return await path.verifier.verify(packet, signal);
  } catch (err: unknown) {
    if (err instanceof Untrusted) path.untrusted(name, err);
    throw err;
  }
}
