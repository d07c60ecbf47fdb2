/**
 * Takes over an identity from elsewhere: a SafeBag with its key, or a certificate that someone else issued for our key.
 */
import type { Certificate } from "./certificate.ts";
import { parseCertificates } from "./certificate-file.ts";
import { KeychainError, withKeychain } from "./errors.ts";
import {
  backUp,
  isKeyOf,
  isTaken,
  prepareDirectory,
  readKeyFiles,
  writeCertificate,
  writeKeyAndCertificate,
  writeOthers,
} from "./key-files.ts";
import { followed } from "./key-renewal.ts";
import type { Credentials } from "./safe-bag.ts";

/** What an import did. */
export interface Import {
  readonly certificate: Certificate;
  /** Folder with what was there before. */
  readonly backup: string | undefined;
}

/** Settings of an import. */
export interface ImportOptions {
  /** Replace a key that is there; it is kept in a folder beside. */
  readonly replace: boolean;
  /** Certificates of the issuers, to be published with it; undefined keeps those that are there for the same key. */
  readonly chain: readonly Certificate[] | undefined;
  readonly nowMs: number;
}

/** Make these credentials the identity in `directory`. @throws KeychainError when a key is there and stays. */
export async function importCredentials(
  directory: string,
  { key, certificate }: Credentials,
  { replace, chain, nowMs }: ImportOptions,
): Promise<Import> {
  return withKeychain(directory, () => {
    prepareDirectory(directory);
    const taken = isTaken(directory);
    if (taken && !replace) {
      throw new KeychainError(`keychain ${directory}: a key is there already; --replace keeps it in a folder beside`);
    }
    const backup = taken ? backUp(directory, nowMs) : undefined;
    writeKeyAndCertificate(directory, key, certificate);
    writeOthers(directory, { previous: [], chain: chain ?? [] });
    return { certificate, backup };
  });
}

/** Put a certificate for the key that is there in place of its present one. @throws KeychainError when it is not of this key. */
export async function importCertificate(
  directory: string,
  file: Uint8Array,
  { chain, nowMs }: Omit<ImportOptions, "replace">,
): Promise<Import> {
  return withKeychain(directory, () => {
    const [certificate, ...rest] = parseCertificates(file);
    const files = readKeyFiles(directory);
    if (files === undefined || !isKeyOf(files.key, certificate!)) {
      throw new KeychainError(
        `keychain ${directory}: ${certificate!.certificateName} is not of the key here; a SafeBag brings its key along`,
      );
    }
    const previous = files.certificate ? [files.certificate, ...files.previous] : files.previous;
    const others = previous.filter(({ digest }) => digest !== certificate!.digest);
    writeOthers(directory, {
      previous: followed(others, nowMs),
      chain: chain ?? (rest.length > 0 ? rest : files.chain),
    });
    writeCertificate(directory, certificate!);
    return { certificate: certificate!, backup: undefined };
  });
}
