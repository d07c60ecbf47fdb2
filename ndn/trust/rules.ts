/**
 * The single rules of trust; each throws `Untrusted` and says what is wrong with which packet.
 */
import { formatName, type Name, startsWith } from "../packet/name.ts";
import { type Certificate, type KeyReference, readKeyReference } from "./certificate.ts";
import { Untrusted } from "./errors.ts";
import type { SignedData } from "./signed-data.ts";
import { isSignatureOf, signatureTypes } from "./signed-data.ts";
import { isValidAt } from "./validity.ts";

/** Certificates in a chain, from the signer's to the anchor. */
export const maxChainLength = 5;
const trustedTypes: readonly number[] = Object.values(signatureTypes);

/** The packet is published under the prefix. */
export function checkName({ name }: SignedData, prefix: Name): void {
  if (startsWith(name, prefix)) return;
  throw new Untrusted("name", `${formatName(name)} is not under ${formatName(prefix)}`);
}

/** Whose key a packet says it is signed with: an allowed type, and KeyLocator `A/KEY/…`. */
export function signerOf({ name, signature }: SignedData): KeyReference {
  const { type, keyLocator } = signature;
  if (!trustedTypes.includes(type)) {
    throw new Untrusted("signature-type", `${formatName(name)} has signature type ${type}, not RSA, ECDSA or Ed25519`);
  }
  const reference = keyLocator && readKeyReference(keyLocator);
  if (reference) return reference;
  const locator = keyLocator
    ? `KeyLocator ${formatName(keyLocator)}, which is not A/KEY/…`
    : "no KeyLocator with a name";
  throw new Untrusted("key-locator", `${formatName(name)} has ${locator}`);
}

/** Signers of packets speak for the prefix or something above it. */
export function checkIdentity({ name }: SignedData, { identity }: KeyReference, prefix: Name): void {
  if (startsWith(prefix, identity)) return;
  const message = `${formatName(name)} is signed by ${formatName(identity)}, which is no prefix of ${formatName(prefix)}`;
  throw new Untrusted("prefix", message);
}

/** Issuers of certificates speak for their subject or something above it. */
export function checkHierarchy({ certificateName, identity }: Certificate, issuer: KeyReference): void {
  if (startsWith(identity, issuer.identity)) return;
  const message = `${certificateName} is issued by ${formatName(issuer.identity)}, which is no prefix of its identity`;
  throw new Untrusted("hierarchy", message);
}

/** Signed with the key of this certificate. */
export function checkSignature(
  { name, signature, signedPortion, signatureValue }: SignedData,
  signer: Certificate,
): void {
  if (isSignatureOf(signer.publicKey, signature.type, signedPortion, signatureValue)) return;
  throw new Untrusted("signature", `${formatName(name)} has a signature that is not of ${signer.certificateName}`);
}

/** Validity covers now. */
export function checkValidity({ certificateName, validity }: Certificate, nowMs: number): void {
  if (isValidAt(validity, nowMs)) return;
  const from = new Date(validity.notBeforeMs).toISOString();
  const to = new Date(validity.notAfterMs).toISOString();
  throw new Untrusted("validity", `${certificateName} is valid from ${from} to ${to}, not now`);
}

/** The chain ends within its bound. */
export function chainTooLong(certificateName: string): Untrusted {
  return new Untrusted("chain-length", `the chain above ${certificateName} is longer than ${maxChainLength}`);
}
