/**
 * Keys and signature types that are trusted: RSA, ECDSA and Ed25519 (NDN packet specification § Signature).
 * `node:crypto` verifies in the calling thread, which is several times faster than WebCrypto for packets this small.
 */
import { createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { promisify } from "node:util";
import { LLSign, Name as NdnName, Signer } from "@ndn/packet";
import type { Name } from "../packet/name.ts";

/** SignatureType numbers. */
export const signatureTypes = { RSA: 1, ECDSA: 3, Ed25519: 5 } as const;
/** A kind of key that can sign packets. */
export type KeyType = keyof typeof signatureTypes;

const curves: Readonly<Record<string, string>> = { prime256v1: "P-256", secp384r1: "P-384", secp521r1: "P-521" };
const minRsaBits = 2048;
const signAside = promisify(sign);

/** The kind of a private or public key. @throws Error for keys that cannot sign packets, or too weak ones. */
export function keyTypeOf(key: KeyObject): KeyType {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === "ed25519") return "Ed25519";
  if (type === "ec") {
    if (curves[details?.namedCurve ?? ""] === undefined) throw new Error(`curve ${details?.namedCurve} is not used`);
    return "ECDSA";
  }
  if (type !== "rsa") throw new Error(`a key of type ${type} cannot sign packets; RSA, ECDSA and Ed25519 can`);
  const bits = details?.modulusLength ?? 0;
  if (bits < minRsaBits) throw new Error(`an RSA key of ${bits} bits is too short, ${minRsaBits} is the least`);
  return "RSA";
}

/** For people: `ECDSA P-256`, `RSA 2048`, `Ed25519`. */
export function describeKey(key: KeyObject): string {
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {};
  return [keyTypeOf(key), (namedCurve && curves[namedCurve]) ?? modulusLength].filter(Boolean).join(" ");
}

/** The key in a SubjectPublicKeyInfo. @throws Error when it is none, or not one that is trusted. */
export function importPublicKey(spki: Uint8Array): KeyObject {
  const key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
  keyTypeOf(key);
  return key;
}

/** Whether `signature` of SignatureType `type` is one of `key` over `bytes`. */
export function isSignatureOf(key: KeyObject, type: number, bytes: Uint8Array, signature: Uint8Array): boolean {
  const keyType = keyTypeOf(key);
  if (type !== signatureTypes[keyType]) return false;
  try {
    return verify(keyType === "Ed25519" ? null : "sha256", bytes, key, signature);
  } catch {
    return false; // OpenSSL throws for some signatures that are not even well-formed
  }
}

/** Sign these bytes; an RSA signature takes long enough to be made off the event loop. */
export async function signBytes(key: KeyObject, bytes: Uint8Array): Promise<Uint8Array> {
  const keyType = keyTypeOf(key);
  if (keyType === "RSA") return signAside("sha256", bytes, key);
  return sign(keyType === "Ed25519" ? null : "sha256", bytes, key);
}

/** A signer whose packets name `keyLocator`, a certificate or a key. */
export function createSigner(privateKey: KeyObject, keyLocator: Name): Signer {
  const type = signatureTypes[keyTypeOf(privateKey)];
  return {
    sign(packet) {
      Signer.putSigInfo(packet, type, new NdnName(keyLocator));
      return packet[LLSign.OP]((bytes) => signBytes(privateKey, bytes));
    },
  };
}
