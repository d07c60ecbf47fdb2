/**
 * What a puller believes without further proof: certificates given as files or by digest.
 */
import { readFileSync } from "node:fs";
import { formatName, type Name, startsWith } from "../packet/name.ts";
import { type Certificate, isNamedBy, type KeyReference } from "./certificate.ts";
import { parseCertificates } from "./certificate-file.ts";
import { expiryWarning, isValidAt } from "./validity.ts";

/** An anchor that cannot be used; the message says which, and what is wrong with it. */
export class AnchorError extends Error {
  override readonly name = "AnchorError";
}

/** The trusted certificates; several, so that one can follow another. */
export class TrustAnchors {
  /** Those that were in files, and those by digest that have been met since. */
  readonly #known = new Map<string, Certificate>();
  readonly #digests = new Set<string>();

  /**
   * Read what `--anchor` names: a file with one or several certificates, or `sha256:HEX`, the digest of a certificate's
   * wire encoding.
   * @throws AnchorError for the first that cannot be read.
   */
  static load(specs: readonly string[]): TrustAnchors {
    const anchors = new TrustAnchors();
    for (const spec of specs) anchors.#add(spec);
    return anchors;
  }

  #add(spec: string): void {
    if (/^sha256:/i.test(spec)) {
      this.#digests.add(checkedDigest(spec));
      return;
    }
    try {
      for (const certificate of parseCertificates(readFileSync(spec))) this.trust(certificate);
    } catch (err: unknown) {
      throw new AnchorError(`anchor ${spec}: ${(err as Error).message}`, { cause: err });
    }
  }

  /** Trust this certificate: `start` trusts itself. */
  trust(certificate: Certificate): void {
    this.#digests.add(certificate.digest);
    this.#known.set(certificate.digest, certificate);
  }

  /** How many certificates are trusted. */
  get size(): number {
    return this.#digests.size;
  }

  /** Each by its digest, with its name as far as that is known. */
  list(): { readonly digest: string; readonly certificate?: string }[] {
    return [...this.#digests].map((digest) => {
      const known = this.#known.get(digest);
      return { digest, ...(known && { certificate: known.certificateName }) };
    });
  }

  /** Digests of anchors whose certificate has not been met yet. */
  get unmet(): readonly string[] {
    return [...this.#digests].filter((digest) => !this.#known.has(digest));
  }

  /** Whether a certificate that came over the network is an anchor; from then on `find` finds it. */
  recognize(certificate: Certificate): boolean {
    if (!this.#digests.has(certificate.digest)) return false;
    this.#known.set(certificate.digest, certificate);
    return true;
  }

  /** The anchor of this name or key; of several, one that is valid now. */
  find(reference: KeyReference, nowMs: number): Certificate | undefined {
    const named = [...this.#known.values()].filter((certificate) => isNamedBy(certificate, reference));
    return named.find(({ validity }) => isValidAt(validity, nowMs)) ?? named[0];
  }

  /** Sentences for the log: anchors that cannot vouch for anything under `prefix`, and those whose end is near. */
  warnings(prefix: Name, nowMs: number): string[] {
    return [...this.#known.values()].flatMap((anchor) => {
      if (startsWith(prefix, anchor.identity)) return expiryWarning(anchor, nowMs) ?? [];
      return `anchor ${anchor.certificateName} is of no use: ${formatName(anchor.identity)} is not a prefix of ${formatName(prefix)}`;
    });
  }
}

function checkedDigest(spec: string): string {
  const digest = spec.toLowerCase();
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) {
    throw new AnchorError(`anchor ${spec}: sha256: is followed by 64 hexadecimal digits (see ndn-registry key show)`);
  }
  return digest;
}
