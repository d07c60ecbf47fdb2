/**
 * Certificates: Data named `<identity>/KEY/<key id>/<issuer id>/<version>` that hold a public key (NDN certificate format v2).
 */
import { createHash, type KeyObject } from "node:crypto";
import { componentsOf, formatName, generic, type Name } from "../packet/name.ts";
import { importPublicKey, readSignedData, type SignedData } from "./signed-data.ts";
import type { Validity } from "./validity.ts";

const contentTypeKey = 2;
/** What marks names of keys and certificates. */
export const keyComponent: Name = generic("KEY");

/** A well-formed certificate; nothing is said of who believes it. */
export interface Certificate {
  readonly name: Name;
  readonly certificateName: string;
  readonly wire: Buffer;
  /** `sha256:` and the hexadecimal digest of the wire encoding, which is also the packet's implicit digest. */
  readonly digest: string;
  /** Whom the key speaks for. */
  readonly identity: Name;
  /** `<identity>/KEY/<key id>`. */
  readonly keyName: Name;
  readonly publicKey: KeyObject;
  readonly validity: Validity;
  readonly signed: SignedData;
}

/** A name that stands for a key: its own, or that of one of its certificates. */
export interface KeyReference {
  readonly name: Name;
  readonly identity: Name;
  readonly keyName: Name;
  readonly isCertificateName: boolean;
}

/** Read `A/KEY/<key id>` or `A/KEY/<key id>/<issuer id>/<version>`; undefined for any other name. */
export function readKeyReference(name: Name): KeyReference | undefined {
  const components = componentsOf(name) ?? [];
  const isKey = (back: number) => {
    const span = components.at(-back);
    return span !== undefined && keyComponent.equals(name.subarray(span.at, span.end));
  };
  const isCertificateName = isKey(4);
  if (!isCertificateName && !isKey(2)) return undefined;
  const key = components.at(isCertificateName ? -4 : -2)!;
  const keyId = components.at(isCertificateName ? -3 : -1)!;
  return { name, identity: name.subarray(0, key.at), keyName: name.subarray(0, keyId.end), isCertificateName };
}

/** Whether the certificate is what this name refers to. */
export function isNamedBy(certificate: Certificate, reference: KeyReference): boolean {
  return (reference.isCertificateName ? certificate.name : certificate.keyName).equals(reference.name);
}

/** Who issued a certificate, by its KeyLocator; undefined when that names no key. */
export function issuerOf(certificate: Certificate): KeyReference | undefined {
  const { keyLocator } = certificate.signed.signature;
  return keyLocator && readKeyReference(keyLocator);
}

/** Read the wire encoding of one certificate, which is copied. @throws Error that says what is wrong with it. */
export function readCertificate(packet: Uint8Array): Certificate {
  const signed = readSignedData(Buffer.from(packet));
  if (signed === undefined) throw new Error("not a well-formed NDN Data packet");
  const { name, wire } = signed;
  const certificateName = formatName(name);
  const reference = readKeyReference(name);
  if (!reference?.isCertificateName) throw new Error(`${certificateName} is not the name of a certificate`);
  if (signed.contentType !== contentTypeKey) throw new Error(`${certificateName} has a ContentType other than KEY`);
  const { validity } = signed.signature;
  if (validity === undefined) throw new Error(`${certificateName} has no ValidityPeriod`);
  const { identity, keyName } = reference;
  const digest = `sha256:${createHash("sha256").update(wire).digest("hex")}`;
  return { name, certificateName, wire, digest, identity, keyName, publicKey: keyIn(signed), validity, signed };
}

function keyIn({ content, name }: SignedData): KeyObject {
  try {
    return importPublicKey(content);
  } catch (err: unknown) {
    throw new Error(`${formatName(name)} has no usable public key: ${(err as Error).message}`, { cause: err });
  }
}
