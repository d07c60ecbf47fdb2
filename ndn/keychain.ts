/**
 * The signing key of a server: one ECDSA P-256 key and its self-signed certificate in a directory of mode 0700.
 * `@ndn/keychain` makes keys and certificates; its file store is not used, because it writes late, not atomically,
 * and takes a truncated file for an empty store.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Certificate, ECDSA, generateSigningKey, type NamedSigner } from "@ndn/keychain";
import { Data, Name as NdnName, type Signer, ValidityPeriod } from "@ndn/packet";
import { Decoder, Encoder } from "@ndn/tlv";
import { writeFileAtomicSync } from "./atomic-file.ts";
import { formatName, type Name } from "./name.ts";

const keyFile = "signing-key.pem";
const certificateFile = "certificate.ndncert";
const validityYears = 10;

export type { Signer } from "@ndn/packet";

/** A server's identity: what it signs metadata and registrations with. */
export interface Identity {
  readonly signer: Signer;
  /** URI of the certificate's name. */
  readonly certificateName: string;
  /** The certificate Data as it goes on the wire. */
  readonly certificate: Uint8Array;
}

/** The keychain directory cannot be used; the message says which file and what to do. */
export class KeychainError extends Error {
  override readonly name = "KeychainError";
}

/**
 * Open the key in `directory`, or make one on first run.
 *
 * @param prefix - Identity that the key speaks for: the server's NDN prefix.
 * @throws KeychainError when something is there that cannot be read; it is never replaced.
 */
export async function openIdentity(directory: string, prefix: Name): Promise<Identity> {
  const keyPath = join(directory, keyFile);
  const certificatePath = join(directory, certificateFile);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    chmodSync(directory, 0o700);
    if (!existsSync(keyPath)) {
      if (existsSync(certificatePath)) throw new Error(`${certificateFile} is there but ${keyFile} is missing`);
      writeFileAtomicSync(keyPath, newKeyPem(), 0o600);
    }
    const key = createPrivateKey(readFileSync(keyPath));
    const certificate = existsSync(certificatePath) ? readCertificate(certificatePath) : undefined;
    return await identityOf(key, prefix, certificate, certificatePath);
  } catch (err: unknown) {
    throw new KeychainError(
      `keychain ${directory}: ${(err as Error).message}; repair it, or name another directory with --keychain`,
      { cause: err },
    );
  }
}

async function identityOf(
  key: KeyObject,
  prefix: Name,
  stored: Certificate | undefined,
  certificatePath: string,
): Promise<Identity> {
  const spki = new Uint8Array(createPublicKey(key).export({ type: "spki", format: "der" }));
  const reusable = stored !== undefined && identityPrefixOf(stored).equals(new NdnName(prefix));
  if (reusable && Buffer.compare(stored.publicKeySpki, spki) !== 0) {
    throw new Error(`${certificateFile} belongs to another key than ${keyFile}`);
  }
  const keyName = reusable ? stored.name.getPrefix(-2) : new NdnName(prefix);
  const [privateKey, publicKey] = await generateSigningKey(keyName, ECDSA, {
    importPkcs8: [new Uint8Array(key.export({ type: "pkcs8", format: "der" })), spki],
  });
  const certificate = reusable ? stored : await selfSign(privateKey, publicKey);
  const wire = Encoder.encode(certificate.data);
  if (!reusable) writeFileAtomicSync(certificatePath, `${Buffer.from(wire).toString("base64")}\n`, 0o644);
  return {
    signer: privateKey.withKeyLocator(certificate.name),
    certificateName: formatName(Buffer.from(certificate.name.value)),
    certificate: wire,
  };
}

async function selfSign(
  privateKey: NamedSigner.PrivateKey,
  publicKey: Parameters<typeof Certificate.selfSign>[0]["publicKey"],
) {
  return Certificate.selfSign({ privateKey, publicKey, validity: ValidityPeriod.daysFromNow(365 * validityYears) });
}

function readCertificate(path: string): Certificate {
  const wire = Buffer.from(readFileSync(path, "utf8"), "base64");
  try {
    return Certificate.fromData(new Decoder(wire).decode(Data));
  } catch (err: unknown) {
    throw new Error(`${certificateFile} is not an NDN certificate in base64`, { cause: err });
  }
}

function identityPrefixOf(certificate: Certificate): NdnName {
  return certificate.name.getPrefix(-4);
}

function newKeyPem(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" }) as string;
}
