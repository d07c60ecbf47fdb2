/**
 * Decides whether a signed packet under a prefix is trusted: signature of type RSA, ECDSA or Ed25519; KeyLocator
 * `A/KEY/…` with A a prefix of the prefix or the prefix itself; a chain of certificates to an anchor, each issuer's identity a prefix of
 * its subject's; validity of all of them covers now.
 */
import { formatName, type Name } from "../packet/name.ts";
import type { TrustAnchors } from "./anchors.ts";
import { type Certificate, isNamedBy, type KeyReference } from "./certificate.ts";
import { CertificateFetches, type FetchCertificate, SecondAnswers } from "./certificate-fetches.ts";
import { Untrusted } from "./errors.ts";
import {
  chainTooLong,
  checkHierarchy,
  checkIdentity,
  checkName,
  checkSignature,
  checkValidity,
  maxChainLength,
  signerOf,
} from "./rules.ts";
import { readSignedData, type SignedData } from "./signed-data.ts";
import { isValidAt, type Validity } from "./validity.ts";
import { type TrustedCertificate, Verdicts } from "./verdicts.ts";

/** What a verifier is made of. */
export interface VerifierOptions {
  readonly anchors: TrustAnchors;
  /** What is verified has names under it. */
  readonly prefix: Name;
  readonly fetchCertificate: FetchCertificate;
  /** Wall clock in milliseconds. @defaultValue `Date.now` */
  readonly now?: () => number;
}

/** Verifies packets; safe to share, certificates are fetched and checked once. */
export interface Verifier {
  /**
   * The packet's parts, copied, to be used instead of parsing it again.
   * @throws Untrusted naming the rule that is broken; the reason of `signal` when that fires.
   */
  verify(packet: Uint8Array, signal: AbortSignal): Promise<SignedData>;
}

/** What the network gave for a name on the path to an anchor; no certificate when it was none. */
interface Step {
  readonly name: Name;
  readonly certificate: Certificate | undefined;
}

/** Make a verifier for one prefix. */
export function createVerifier(options: VerifierOptions): Verifier {
  return new ChainVerifier(options);
}

class ChainVerifier implements Verifier {
  readonly #anchors: TrustAnchors;
  readonly #prefix: Name;
  readonly #fetches: CertificateFetches;
  readonly #second: SecondAnswers;
  readonly #verdicts = new Verdicts();
  readonly #now: () => number;

  constructor(options: VerifierOptions) {
    this.#anchors = options.anchors;
    this.#prefix = options.prefix;
    this.#fetches = new CertificateFetches(options.fetchCertificate);
    this.#now = options.now ?? Date.now;
    this.#second = new SecondAnswers({ fetches: this.#fetches, now: this.#now });
  }

  async verify(packet: Uint8Array, signal: AbortSignal): Promise<SignedData> {
    // A copy, because a receive buffer may be filled again while certificates are fetched.
    const signed = readSignedData(Buffer.from(packet));
    if (signed === undefined) throw new Untrusted("malformed", "not a well-formed signed Data");
    checkName(signed, this.#prefix);
    const signer = signerOf(signed);
    checkIdentity(signed, signer, this.#prefix);
    const { certificate } = await this.#trustedCertificate(signer, signal);
    checkSignature(signed, certificate);
    return signed;
  }

  async #trustedCertificate(reference: KeyReference, signal: AbortSignal): Promise<TrustedCertificate> {
    const known = this.#known(reference);
    if (known) return known;
    this.#refuseAgain(reference);
    try {
      return await this.#climb(reference, signal);
    } catch (err: unknown) {
      this.#refuse(reference, err);
      throw err;
    }
  }

  /** A cache may have given a forgery: while a second answer differs from the first, climb again with it. */
  async #climb(first: KeyReference, signal: AbortSignal): Promise<TrustedCertificate> {
    for (let again = 0; ; again++) {
      const steps: Step[] = [];
      try {
        return await this.#climbOnce(first, steps, signal);
      } catch (err: unknown) {
        if (!(err instanceof Untrusted) || err.rule === "busy" || again >= maxChainLength) throw err;
        if (!(await this.#differs(steps, signal))) throw err;
      }
    }
  }

  /** Ask past the caches for what came, from below, up to the first that turns out to be something else. */
  async #differs(steps: readonly Step[], signal: AbortSignal): Promise<boolean> {
    for (const { name, certificate } of steps) {
      const second = await this.#second.get(name, signal);
      if (second && second.digest !== certificate?.digest) return true;
    }
    return false;
  }

  /** From the signer's certificate upwards until one is trusted, then down again checking each by the one above. */
  async #climbOnce(first: KeyReference, steps: Step[], signal: AbortSignal): Promise<TrustedCertificate> {
    const path: Certificate[] = [];
    let wanted = first;
    for (;;) {
      const top = this.#known(wanted) ?? this.#asAnchor(await this.#fetch(wanted, path, steps, signal));
      if (!("wire" in top)) return this.#descend(top, path);
      path.push(top);
      wanted = this.#nextAbove(top, path.length);
    }
  }

  /** An anchor, or a certificate that was trusted before. */
  #known(reference: KeyReference): TrustedCertificate | undefined {
    const nowMs = this.#now();
    const anchor = this.#anchors.find(reference, nowMs);
    if (anchor && isValidAt(anchor.validity, nowMs)) return trustedAnchor(anchor);
    const verdict = this.#verdicts.find(reference.name, nowMs);
    return verdict && isNamedBy(verdict.certificate, reference) ? verdict : undefined;
  }

  #asAnchor(certificate: Certificate): TrustedCertificate | Certificate {
    return this.#anchors.recognize(certificate) ? trustedAnchor(certificate) : certificate;
  }

  async #fetch(
    wanted: KeyReference,
    path: readonly Certificate[],
    steps: Step[],
    signal: AbortSignal,
  ): Promise<Certificate> {
    const certificate = await this.#anchorOrFetched(wanted, steps, signal);
    if (!isNamedBy(certificate, wanted)) {
      const message = `${certificate.certificateName} came for certificate ${formatName(wanted.name)}`;
      throw new Untrusted("certificate", message);
    }
    checkValidity(certificate, this.#now());
    if (path.some(({ digest }) => digest === certificate.digest)) {
      throw new Untrusted("loop", `${certificate.certificateName} is above itself in its chain`);
    }
    return certificate;
  }

  /** An anchor that is known but not valid now need not be fetched to be refused; of its key there may be a newer one. */
  async #anchorOrFetched(wanted: KeyReference, steps: Step[], signal: AbortSignal): Promise<Certificate> {
    const anchor = wanted.isCertificateName ? this.#anchors.find(wanted, this.#now()) : undefined;
    if (anchor) return anchor;
    const second = this.#second.find(wanted.name);
    if (second) return stepTo(steps, wanted, second);
    this.#refuseAgain(wanted);
    try {
      return stepTo(steps, wanted, await this.#fetches.get(wanted.name, signal));
    } catch (err: unknown) {
      // What came and is no certificate may be a cache's: that is not the last word on this name.
      if (err instanceof Untrusted && err.rule === "certificate")
        steps.push({ name: wanted.name, certificate: undefined });
      else this.#refuse(wanted, err);
      throw err;
    }
  }

  #refuseAgain({ name }: KeyReference): void {
    const refusal = this.#verdicts.refusalOf(name, this.#now());
    if (refusal) throw new Untrusted(refusal.rule, refusal.message, { cause: refusal });
  }

  #refuse({ name }: KeyReference, reason: unknown): void {
    if (reason instanceof Untrusted && reason.rule !== "busy") this.#verdicts.refuse(name, reason, this.#now());
  }

  #nextAbove(certificate: Certificate, length: number): KeyReference {
    const { certificateName, keyName } = certificate;
    const issuer = signerOf(certificate.signed);
    checkHierarchy(certificate, issuer);
    const itself = issuer.name.equals(keyName) || issuer.name.equals(certificate.name);
    if (itself && this.#known(issuer) === undefined) {
      throw new Untrusted("not-anchored", `${certificateName} is signed by itself and is no anchor`);
    }
    if (length >= maxChainLength) throw chainTooLong(certificateName);
    return issuer;
  }

  #descend(top: TrustedCertificate, path: readonly Certificate[]): TrustedCertificate {
    let above = top;
    for (const certificate of path.toReversed()) {
      checkSignature(certificate.signed, above.certificate);
      const chainLength = above.chainLength + 1;
      if (chainLength > maxChainLength) throw chainTooLong(certificate.certificateName);
      above = { certificate, validity: intersection(certificate.validity, above.validity), chainLength };
      this.#verdicts.trust(above);
    }
    return above;
  }
}

function stepTo(steps: Step[], { name }: KeyReference, certificate: Certificate): Certificate {
  steps.push({ name, certificate });
  return certificate;
}

function trustedAnchor(certificate: Certificate): TrustedCertificate {
  return { certificate, validity: certificate.validity, chainLength: 1 };
}

function intersection(a: Validity, b: Validity): Validity {
  return {
    notBeforeMs: Math.max(a.notBeforeMs, b.notBeforeMs),
    notAfterMs: Math.min(a.notAfterMs, b.notAfterMs),
  };
}
