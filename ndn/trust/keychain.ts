/**
 * The signing key of a server: a key and its certificate in a directory of mode 0700, made on first run (ECDSA P-256,
 * self-signed) or imported. `@ndn/keychain`'s file store is not used, because it writes late, not atomically, and takes
 * a truncated file for an empty store.
 */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import type { Signer } from "@ndn/packet";
import { writeFileAtomicSync } from "#base/atomic-file.ts";
import { formatName, type Name, startsWith } from "../packet/name.ts";
import type { Certificate } from "./certificate.ts";
import { formatCertificates } from "./certificate-file.ts";
import { withKeychain } from "./errors.ts";
import { newKeyName, selfSign } from "./issue-certificate.ts";
import {
  isKeyOf,
  type KeyFiles,
  prepareDirectory,
  readKeyFiles,
  writeCertificate,
  writeKey,
  writeOthers,
} from "./key-files.ts";
import { followed, isOwn, noKey } from "./key-renewal.ts";
import { createSigner } from "./signed-data.ts";
import { isValidAt, type Validity } from "./validity.ts";

export type { Signer } from "@ndn/packet";
export { KeychainError } from "./errors.ts";

/** A server's identity: what it signs metadata, digest lists and registrations with. */
export interface Identity {
  readonly signer: Signer;
  /** URI of the certificate's name. */
  readonly certificateName: string;
  /** The certificate Data as it goes on the wire. */
  readonly certificate: Uint8Array;
  /** `sha256:` and the digest of that, as `--anchor` takes it. */
  readonly digest: string;
  readonly validity: Validity;
  /** What to publish: the certificate, those that it follows while they are valid, those of its issuers. */
  readonly certificates: readonly Pick<Certificate, "name" | "wire" | "validity">[];
}

/**
 * Open the key in `directory`, or make one on first run.
 *
 * @param prefix - What the key has to speak for: the server's NDN prefix.
 * @throws KeychainError when something is there that cannot be read; it is never replaced.
 */
export async function openIdentity(directory: string, prefix: Name): Promise<Identity> {
  return withKeychain(directory, async () => {
    prepareDirectory(directory);
    const files = readKeyFiles(directory) ?? makeKey(directory);
    const { certificate, previous } = await certificateFor(directory, prefix, files);
    const nowMs = Date.now();
    return {
      signer: createSigner(files.key, certificate.name),
      certificateName: certificate.certificateName,
      certificate: certificate.wire,
      digest: certificate.digest,
      validity: certificate.validity,
      certificates: [certificate, ...followed(previous, nowMs), ...files.chain],
    };
  });
}

/** What is in a keychain directory, without making anything. @throws KeychainError when it has no key and certificate. */
export async function inspectKeychain(directory: string): Promise<KeyFiles & { readonly certificate: Certificate }> {
  return withKeychain(directory, () => {
    const files = readKeyFiles(directory);
    if (files?.certificate === undefined) throw noKey(directory);
    return { ...files, certificate: files.certificate };
  });
}

/** Write the certificate of an identity where pullers can take it for `--anchor`. @throws the file system's error. */
export function exportAnchor(identity: Pick<Identity, "certificate">, path: string): void {
  writeFileAtomicSync(path, formatCertificates([{ wire: identity.certificate }]), 0o644);
}

function makeKey(directory: string): KeyFiles {
  const key = newKey();
  writeKey(directory, key);
  return { key, certificate: undefined, previous: [], chain: [] };
}

/** A new key of the kind that servers make for themselves. */
export function newKey(): KeyObject {
  return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
}

/** The certificate that is there, when its identity may sign under `prefix`; else an earlier or a new one of our own. */
async function certificateFor(directory: string, prefix: Name, { key, certificate, previous }: KeyFiles) {
  if (certificate && startsWith(prefix, certificate.identity)) return { certificate, previous };
  if (certificate && !isOwn(certificate, previous)) {
    const identity = formatName(certificate.identity);
    throw new Error(`the imported certificate is for ${identity}, which is no prefix of ${formatName(prefix)}`);
  }
  const nowMs = Date.now();
  // The prefix may have been this one before: then pullers trust that certificate.
  const earlier = previous.find(
    (one) => isKeyOf(key, one) && startsWith(prefix, one.identity) && isValidAt(one.validity, nowMs),
  );
  const next = earlier ?? (await selfSign(key, newKeyName(prefix), nowMs, certificate));
  const others = previous.filter((one) => one !== earlier);
  const kept = certificate ? followed([certificate, ...others], nowMs) : others;
  writeOthers(directory, { previous: kept });
  writeCertificate(directory, next);
  return { certificate: next, previous: kept };
}
