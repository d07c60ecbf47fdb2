/**
 * Data that is signed: metadata, digest lists and negative answers, once per blob rather than once per segment; and
 * certificates (NDN packet specification § Data, § Signature).
 *
 * Reading is strict where leniency would let unsigned bytes in: each element at most once and in order, SignatureValue last.
 * Keys are RSA, ECDSA and Ed25519 (§ Signature). `node:crypto` verifies in the calling thread, which is several times
 * faster than WebCrypto for packets this small.
 */
import { createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { promisify } from "node:util";
import { Data, LLSign, Name as NdnName, SigInfo, Signer } from "@ndn/packet";
import { Encoder } from "@ndn/tlv";
import { componentsOf, type Name } from "../packet/name.ts";
import * as structure from "../packet/structure.ts";
import { readElements, readNni, type TlvSpan, TT } from "../packet/tlv.ts";
import { readValidity, type Validity } from "./validity.ts";

/** What SignatureInfo says. */
export interface SignatureInfo {
  readonly type: number;
  /** The KeyLocator's Name; undefined when there is none, or a KeyDigest instead. */
  readonly keyLocator: Name | undefined;
  /** SignatureTime in milliseconds since 1970. */
  readonly timeMs: number | undefined;
  /** Certificates only. */
  readonly validity: Validity | undefined;
}

/** A Data whose parts are slices of one wire encoding. */
export interface SignedData {
  readonly wire: Buffer;
  readonly name: Name;
  readonly contentType: number;
  readonly freshnessMs: number;
  readonly content: Buffer;
  readonly signature: SignatureInfo;
  /** From the Name to the SignatureInfo. */
  readonly signedPortion: Buffer;
  readonly signatureValue: Buffer;
}

/** Read the wire encoding of one Data, nothing around it; undefined when it is malformed. */
export function readSignedData(packet: Uint8Array): SignedData | undefined {
  const wire = Buffer.from(packet.buffer, packet.byteOffset, packet.byteLength);
  const outer = readElements(wire);
  if (outer?.length !== 1 || outer[0]!.type !== TT.Data) return undefined;
  const [data] = outer as [TlvSpan];
  const found = structure.data.read(wire, data.start, data.end);
  const name = found?.get(TT.Name);
  const info = found?.get(TT.SignatureInfo);
  const value = found?.get(TT.SignatureValue);
  if (found === undefined || !name || !info || value?.end !== data.end) return undefined;
  const meta = readMeta(wire, found.get(TT.MetaInfo));
  const signature = readSignatureInfo(wire, info);
  if (meta === undefined || signature === undefined || componentsOf(slice(wire, name)) === undefined) return undefined;
  return {
    wire,
    name: slice(wire, name),
    ...meta,
    content: slice(wire, found.get(TT.Content)),
    signature,
    signedPortion: wire.subarray(data.start, value.at),
    signatureValue: slice(wire, value),
  };
}

function slice(wire: Buffer, span: TlvSpan | undefined): Buffer {
  return span === undefined ? Buffer.alloc(0) : wire.subarray(span.start, span.end);
}

function readMeta(wire: Buffer, span: TlvSpan | undefined) {
  if (span === undefined) return { contentType: 0, freshnessMs: 0 };
  const found = structure.metaInfo.read(wire, span.start, span.end);
  const contentType = number(wire, found?.get(TT.ContentType), 0);
  const freshnessMs = number(wire, found?.get(TT.FreshnessPeriod), 0);
  return found === undefined || contentType < 0 || freshnessMs < 0 ? undefined : { contentType, freshnessMs };
}

function number(wire: Buffer, span: TlvSpan | undefined, absent: number): number {
  return span === undefined ? absent : readNni(wire, span.start, span.end);
}

function readSignatureInfo(wire: Buffer, span: TlvSpan): SignatureInfo | undefined {
  const found = structure.signatureInfo.read(wire, span.start, span.end);
  const type = number(wire, found?.get(TT.SignatureType), -1);
  if (found === undefined || type < 0) return undefined;
  const locator = found.get(TT.KeyLocator);
  const time = found.get(TT.SignatureTime);
  const period = found.get(TT.ValidityPeriod);
  const validity = period && readValidity(wire, period);
  if (period !== undefined && validity === undefined) return undefined;
  const timeMs = time && readNni(wire, time.start, time.end);
  return { type, keyLocator: locator && readLocatorName(wire, locator), timeMs, validity };
}

function readLocatorName(wire: Buffer, locator: TlvSpan): Name | undefined {
  const found = structure.keyLocator.read(wire, locator.start, locator.end);
  const span = found?.get(TT.Name);
  if (span === undefined || found?.has(TT.KeyDigest)) return undefined;
  const name = slice(wire, span);
  return componentsOf(name) === undefined ? undefined : name;
}

/** Encode and sign a Data with SignatureTime; freshness in milliseconds. */
export async function encodeSignedData(
  name: Name,
  options: { contentType: number; freshnessMs: number; content: Uint8Array; finalBlockIsLast?: boolean },
  signer: Signer,
): Promise<Buffer> {
  const data = new Data(
    new NdnName(name),
    Data.ContentType(options.contentType),
    Data.FreshnessPeriod(options.freshnessMs),
    options.content,
  );
  if (options.finalBlockIsLast) data.isFinalBlock = true;
  data.sigInfo = new SigInfo(SigInfo.Time());
  await signer.sign(data);
  return Buffer.from(Encoder.encode(data));
}

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

/** A signer whose packets name `keyLocator`, a certificate or a key. */
export function createSigner(privateKey: KeyObject, keyLocator: Name): Signer {
  const keyType = keyTypeOf(privateKey);
  return {
    sign(packet) {
      Signer.putSigInfo(packet, signatureTypes[keyType], new NdnName(keyLocator));
      return packet[LLSign.OP](async (bytes) => {
        // An RSA signature takes long enough to be made off the event loop.
        if (keyType === "RSA") return signAside("sha256", bytes, privateKey);
        return sign(keyType === "Ed25519" ? null : "sha256", bytes, privateKey);
      });
    },
  };
}
