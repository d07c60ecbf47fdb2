/**
 * A new certificate for an identity, with the same key or a new one. The old certificate signs the new one, so that
 * pullers who trust the old one follow without any notice, until it ends. One that someone else issued has its issuer
 * for that: a new key in its place signs itself until it is issued a certificate as well.
 */
import type { KeyObject } from "node:crypto";
import { type Certificate, issuerOf } from "./certificate.ts";
import { KeychainError, withKeychain } from "./errors.ts";
import { issueCertificate, newKeyName, selfSign } from "./issue-certificate.ts";
import { backUp, readKeyFiles, writeCertificate, writeKeyAndCertificate, writeOthers } from "./key-files.ts";
import { createSigner } from "./signed-data.ts";
import { isValidAt } from "./validity.ts";

/** Old certificates that are kept at most. */
const maxFollowed = 8;

/** What a renewal did. */
export interface Renewal {
  readonly certificate: Certificate;
  readonly previous: Certificate;
  /** Whether who trusts the previous certificate trusts the new one as well. */
  readonly isFollowed: boolean;
  /** Whether the previous certificate was issued by someone else, who has to issue one for the new key. */
  readonly wasIssued: boolean;
  /** Folder with the previous key, when there is a new one. */
  readonly backup: string | undefined;
}

/** Old certificates that are still of use, newest first. */
export function followed(certificates: readonly Certificate[], nowMs: number): Certificate[] {
  return certificates.filter(({ validity }) => nowMs <= validity.notAfterMs).slice(0, maxFollowed);
}

/** Whether a certificate was made here, by its own key or one before it, rather than issued by someone else. */
export function isOwn(certificate: Certificate, previous: readonly Certificate[]): boolean {
  const issuer = issuerOf(certificate);
  return [certificate, ...previous].some(({ keyName }) => issuer?.keyName.equals(keyName) === true);
}

/**
 * Replace the certificate in `directory`, and the key as well when `newKey` is given. A running server continues with
 * what it has until it is started again.
 * @throws KeychainError when there is nothing to renew, or only its issuer could without a new key.
 */
export async function renewCertificate(
  directory: string,
  newKey: KeyObject | undefined,
  nowMs: number,
): Promise<Renewal> {
  return withKeychain(directory, async () => {
    const files = readKeyFiles(directory);
    if (files?.certificate === undefined) throw noKey(directory);
    const { key, certificate: previous } = files;
    const wasIssued = !isOwn(previous, files.previous);
    if (wasIssued && !newKey) throw issuedElsewhere(directory, previous);
    const isFollowed = !wasIssued && isValidAt(previous.validity, nowMs);
    const keyName = newKey ? newKeyName(previous.identity) : previous.keyName;
    const subject = newKey ?? key;
    const certificate = isFollowed
      ? await issueCertificate({
          keyName,
          key: subject,
          issuerId: newKey ? "renewal" : "self",
          signer: createSigner(key, previous.name),
          nowMs,
          follows: previous,
        })
      : await selfSign(subject, keyName, nowMs, previous);
    const backup = newKey && backUp(directory, nowMs);
    // Nothing that is signed by the new key needs what was issued for the old one.
    writeOthers(directory, { previous: wasIssued ? [] : followed([previous, ...files.previous], nowMs) });
    if (newKey) writeKeyAndCertificate(directory, newKey, certificate);
    else writeCertificate(directory, certificate);
    return { certificate, previous, isFollowed, wasIssued, backup };
  });
}

/** There is no key to work on. */
export function noKey(directory: string): KeychainError {
  return new KeychainError(`keychain ${directory}: no key and certificate yet; start the server once, or import one`);
}

function issuedElsewhere(directory: string, { certificateName }: Certificate): KeychainError {
  return new KeychainError(
    `keychain ${directory}: ${certificateName} was issued by someone else: have them issue a new one for this key, and import it; for a key that was stolen, --new-key`,
  );
}
