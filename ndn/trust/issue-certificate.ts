/**
 * Names keys and issues certificates for them (NDN certificate format).
 */
import { createPublicKey, type KeyObject, randomBytes } from "node:crypto";
import { Version } from "@ndn/naming-convention2";
import { Component, Name as NdnName, type Signer, ValidityPeriod } from "@ndn/packet";
import { Encoder } from "@ndn/tlv";
import { componentsOf, generic, joinName, type Name, numberOf } from "../packet/name.ts";
import { TT } from "../packet/tlv.ts";
import { type Certificate, keyComponent, readCertificate } from "./certificate.ts";
import { createSigner } from "./signed-data.ts";

const dayMs = 86_400_000;
const validityMs = 3650 * dayMs;
/** The puller's clock may be behind the server's. */
const backdatedMs = dayMs;
/** Caches may keep a certificate for this long. */
const freshnessMs = 24 * 3_600_000;

/** A new name for a key of this identity: `<identity>/KEY/<16 random digits>`. */
export function newKeyName(identity: Name): Name {
  return joinName(identity, keyComponent, generic(randomBytes(8).toString("hex")));
}

/** A certificate to be made. */
export interface CertificateRequest {
  readonly keyName: Name;
  /** The key to be certified; only its public half is used. */
  readonly key: KeyObject;
  readonly issuerId: string;
  readonly signer: Signer;
  readonly nowMs: number;
  /** The certificate that this one follows: its version is larger. */
  readonly follows?: Certificate | undefined;
}

/** Make a certificate of ten years. */
export async function issueCertificate(request: CertificateRequest): Promise<Certificate> {
  const { keyName, key, issuerId, signer, nowMs, follows } = request;
  const version = Math.max(nowMs, follows === undefined ? 0 : versionOf(follows) + 1);
  const { Certificate: NdnCertificate } = await import("@ndn/keychain"); // 24 MB, for a new certificate only
  const certificate = await NdnCertificate.build({
    name: new NdnName(keyName).append(new Component(TT.GenericNameComponent, issuerId), Version.create(version)),
    freshness: freshnessMs,
    validity: new ValidityPeriod(nowMs - backdatedMs, nowMs + validityMs),
    publicKeySpki: new Uint8Array(createPublicKey(key).export({ type: "spki", format: "der" })),
    signer,
  });
  return readCertificate(Encoder.encode(certificate.data));
}

/** Sign a certificate of a key with that key. */
export function selfSign(key: KeyObject, keyName: Name, nowMs: number, follows?: Certificate): Promise<Certificate> {
  return issueCertificate({ keyName, key, issuerId: "self", signer: createSigner(key, keyName), nowMs, follows });
}

function versionOf(certificate: Certificate): number {
  const last = componentsOf(certificate.name)?.at(-1);
  return last?.type === TT.VersionNameComponent ? Math.max(0, numberOf(certificate.name, last)) : 0;
}
