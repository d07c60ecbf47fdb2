/**
 * The files of a keychain directory. A key and its certificate are replaced together: the new certificate waits in a
 * file of its own until the new key is in place, and the next reader finishes what was interrupted in between.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { chmodSync, copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomicSync } from "#base/atomic-file.ts";
import type { Certificate } from "./certificate.ts";
import { formatCertificates, parseCertificates } from "./certificate-file.ts";

const names = {
  key: "signing-key.pem",
  certificate: "certificate.ndncert",
  /** A certificate whose key is about to be put in place. */
  next: "certificate.ndncert.next",
  /** Certificates that the present one follows. */
  previous: "previous.ndncert",
  /** Certificates of issuers. */
  chain: "chain.ndncert",
} as const;

/** What is in a keychain directory. */
export interface KeyFiles {
  readonly key: KeyObject;
  /** Missing only when the first run was interrupted. */
  readonly certificate: Certificate | undefined;
  readonly previous: readonly Certificate[];
  readonly chain: readonly Certificate[];
}

/** Make the directory if it is missing, for its owner only. */
export function prepareDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
}

/**
 * Read a keychain directory; undefined when there is no key in it yet.
 * @throws Error for what cannot be read or does not belong together.
 */
export function readKeyFiles(directory: string): KeyFiles | undefined {
  const keyPath = join(directory, names.key);
  if (!isThere(keyPath)) {
    if (isThere(join(directory, names.certificate))) {
      throw new Error(`${names.certificate} is there but ${names.key} is missing`);
    }
    return undefined;
  }
  const key = createPrivateKey(readFileSync(keyPath));
  finishReplacement(directory, key);
  const certificate = readOne(directory, names.certificate);
  if (certificate && !isKeyOf(key, certificate)) {
    throw new Error(`${names.certificate} belongs to another key than ${names.key}`);
  }
  return {
    key,
    certificate,
    previous: readAll(directory, names.previous),
    chain: readAll(directory, names.chain),
  };
}

/** Whether there is a key or a certificate, readable or not. */
export function isTaken(directory: string): boolean {
  return isThere(join(directory, names.key)) || isThere(join(directory, names.certificate));
}

/** Whether a file is there. @throws the file system's error when that cannot be told, which is not the same as no. */
function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** Whether `certificate` certifies this private key. */
export function isKeyOf(key: KeyObject, certificate: Certificate): boolean {
  return createPublicKey(key).equals(certificate.publicKey);
}

function finishReplacement(directory: string, key: KeyObject): void {
  const next = readOne(directory, names.next);
  if (next && isKeyOf(key, next)) renameSync(join(directory, names.next), join(directory, names.certificate));
}

function readOne(directory: string, name: string): Certificate | undefined {
  if (!isThere(join(directory, name))) return undefined;
  const [first] = readAll(directory, name);
  return first;
}

function readAll(directory: string, name: string): Certificate[] {
  const path = join(directory, name);
  if (!isThere(path)) return [];
  try {
    return parseCertificates(readFileSync(path));
  } catch (err: unknown) {
    throw new Error(`${name}: ${(err as Error).message}`, { cause: err });
  }
}

/** Write a key that has no certificate yet. */
export function writeKey(directory: string, key: KeyObject): void {
  writeFileAtomicSync(join(directory, names.key), key.export({ type: "pkcs8", format: "pem" }) as string, 0o600);
}

/** Replace the certificate of the key that is there. */
export function writeCertificate(directory: string, certificate: Certificate): void {
  writeFileAtomicSync(join(directory, names.certificate), formatCertificates([certificate]), 0o644);
}

/** Replace the key and its certificate, so that after a crash both are the old or both are the new ones. */
export function writeKeyAndCertificate(directory: string, key: KeyObject, certificate: Certificate): void {
  writeFileAtomicSync(join(directory, names.next), formatCertificates([certificate]), 0o644);
  writeKey(directory, key);
  renameSync(join(directory, names.next), join(directory, names.certificate));
}

/** Replace the certificates that are published besides the present one. */
export function writeOthers(
  directory: string,
  others: { readonly previous?: readonly Certificate[]; readonly chain?: readonly Certificate[] },
): void {
  for (const kind of ["previous", "chain"] as const) {
    const certificates = others[kind];
    const path = join(directory, names[kind]);
    if (certificates === undefined) continue;
    if (certificates.length === 0) rmSync(path, { force: true });
    else writeFileAtomicSync(path, formatCertificates(certificates), 0o644);
  }
}

/** Copy all that is there into a folder beside it, whose path is given back. */
export function backUp(directory: string, nowMs: number): string {
  const folder = freeName(join(directory, `backup-${new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/g, "")}`));
  mkdirSync(folder, { mode: 0o700 });
  for (const name of [names.key, names.certificate, names.previous, names.chain]) {
    if (!isThere(join(directory, name))) continue;
    copyFileSync(join(directory, name), join(folder, name));
    chmodSync(join(folder, name), name === names.key ? 0o600 : 0o644);
  }
  return folder;
}

function freeName(path: string): string {
  let free = path;
  for (let n = 2; isThere(free); n++) free = `${path}-${n}`;
  return free;
}
