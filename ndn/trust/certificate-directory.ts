/**
 * Answers Interests for the certificates of an identity.
 */
import { Data, Name as NdnName } from "@ndn/packet";
import { Encoder } from "@ndn/tlv";
import { endsInParametersDigest, type InterestFields } from "../packet/interest.ts";
import { componentsOf, type Name, nameKey, startsWith } from "../packet/name.ts";
import { maxPacketBytes } from "../packet/tlv.ts";
import type { ObjectDirectory, Request } from "../producer.ts";
import { type Certificate, keyComponent, readKeyReference } from "./certificate.ts";
import { isValidAt } from "./validity.ts";

/** What is published, best first. */
type Published = readonly Pick<Certificate, "name" | "wire" | "validity">[];

/** Only the consumer that asked has use for the answer to a unique Interest. */
const uniqueFreshnessMs = 1_000;

/** Certificates by name, or by a part of it that goes at least to `<identity>/KEY`. */
export class CertificateDirectory implements ObjectDirectory {
  #certificates: Published;
  readonly #now: () => number;

  constructor(certificates: Published, now: () => number = Date.now) {
    this.#certificates = certificates;
    this.#now = now;
  }

  /** Answer with these from now on. */
  replace(certificates: Published): void {
    this.#certificates = certificates;
  }

  /** The certificate asked for, as it goes on the wire; by a part of its name only while it is valid. */
  answer(name: Name, canBePrefix: boolean): Buffer | undefined {
    const exact = this.#certificates.find((certificate) => certificate.name.equals(name));
    if (exact || !canBePrefix || !mentionsKey(name)) return exact?.wire;
    const nowMs = this.#now();
    return this.#certificates.find(
      (certificate) => startsWith(certificate.name, name) && isValidAt(certificate.validity, nowMs),
    )?.wire;
  }

  lookup(name: Name, interest: InterestFields): Request | undefined {
    const wire = endsInParametersDigest(name, interest)
      ? this.#answerUnique(name, interest.canBePrefix)
      : this.answer(name, interest.canBePrefix);
    if (wire === undefined) return undefined;
    return { key: `certificate ${nameKey(name)}`, segment: undefined, answer: () => Promise.resolve(wire) };
  }

  /**
   * A Data of the name that was asked, which no cache can have, around the certificate. It needs no signature, because
   * the certificate has one: such an answer costs no more than any other.
   */
  #answerUnique(name: Name, canBePrefix: boolean): Buffer | undefined {
    const parametersDigest = componentsOf(name)!.at(-1)!;
    const certificate = this.answer(name.subarray(0, parametersDigest.at), canBePrefix);
    if (certificate === undefined) return undefined;
    const around = new Data(new NdnName(name), Data.FreshnessPeriod(uniqueFreshnessMs), certificate);
    const wire = Buffer.from(Encoder.encode(around));
    return wire.length <= maxPacketBytes ? wire : undefined;
  }

  /** `<identity>/KEY` of the certificates that are not under `prefix`: to be registered besides it. */
  namesOutside(prefix: Name): Name[] {
    const names = this.#certificates
      .filter(({ name }) => !startsWith(name, prefix))
      .map(({ name }) => Buffer.concat([readKeyReference(name)!.identity, keyComponent]));
    return [...new Map(names.map((name) => [nameKey(name), name])).values()];
  }
}

function mentionsKey(name: Name): boolean {
  return (componentsOf(name) ?? []).some(({ at, end }) => keyComponent.equals(name.subarray(at, end)));
}
