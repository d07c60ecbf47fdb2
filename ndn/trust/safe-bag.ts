/**
 * SafeBag: a certificate and its private key under a passphrase, as `ndnsec export` writes it
 * (ndn-cxx, SafeBag Format for Exported Credentials).
 */
import { createPrivateKey, type KeyObject } from "node:crypto";
import { readElements, TT } from "../packet/tlv.ts";
import { type Certificate, readCertificate } from "./certificate.ts";
import { decodeFile } from "./certificate-file.ts";
import { isKeyOf } from "./key-files.ts";
import { keyTypeOf } from "./signed-data.ts";

const types = { SafeBag: 0x80, EncryptedKey: 0x81 } as const;

/** What is in a SafeBag. */
export interface Credentials {
  readonly key: KeyObject;
  readonly certificate: Certificate;
}

/** Whether a file holds a SafeBag, bare or in base64. */
export function isSafeBag(file: Uint8Array): boolean {
  return decodeFile(file, types.SafeBag) !== undefined;
}

/** Open a SafeBag file. @throws Error that says what is wrong; it never quotes the passphrase. */
export function openSafeBag(file: Uint8Array, passphrase: string): Credentials {
  const bytes = decodeFile(file, types.SafeBag);
  const outer = bytes && readElements(bytes);
  if (bytes === undefined || outer?.length !== 1)
    throw new Error("not a SafeBag in base64, as ndnsec export writes it");
  const inner = readElements(bytes, outer[0]!.start, outer[0]!.end) ?? [];
  const packet = inner.find(({ type }) => type === TT.Data);
  const encrypted = inner.find(({ type }) => type === types.EncryptedKey);
  if (!packet || !encrypted) throw new Error("the SafeBag lacks its certificate or its key");
  const certificate = readCertificate(bytes.subarray(packet.at, packet.end));
  const key = decryptKey(bytes.subarray(encrypted.start, encrypted.end), passphrase);
  if (!isKeyOf(key, certificate)) throw new Error("the certificate in the SafeBag belongs to another key");
  return { key, certificate };
}

/** PKCS #8 EncryptedPrivateKeyInfo. */
function decryptKey(der: Buffer, passphrase: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: der, format: "der", type: "pkcs8", passphrase });
  } catch (err: unknown) {
    throw new Error("the key in the SafeBag cannot be decrypted: is the passphrase right?", { cause: err });
  }
  keyTypeOf(key);
  return key;
}
