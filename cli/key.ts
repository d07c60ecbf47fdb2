/**
 * `ndn-registry key show|renew|export|import`: the signing key of the server and its certificate.
 */
import { readFileSync } from "node:fs";
import { formatName } from "#ndn/packet/name.ts";
import { type Certificate, issuerOf } from "#ndn/trust/certificate.ts";
import { formatCertificates, parseCertificates } from "#ndn/trust/certificate-file.ts";
import { type Import, importCertificate, importCredentials } from "#ndn/trust/key-import.ts";
import { isOwn, renewCertificate } from "#ndn/trust/key-renewal.ts";
import { exportAnchor, inspectKeychain, newKey } from "#ndn/trust/keychain.ts";
import { isSafeBag, openSafeBag } from "#ndn/trust/safe-bag.ts";
import { describeKey } from "#ndn/trust/signed-data.ts";
import { daysLeft, expiryWarning } from "#ndn/trust/validity.ts";
import { CommandError } from "./errors.ts";
import type { keyExportOptions, keyImportOptions, keyRenewOptions, keyShowOptions } from "./key/options.ts";
import { OptionError, type Values } from "./option.ts";

const takenAtRestart = "a running server takes it at kill -HUP, or when it is started again";

/** Show the certificate. @throws KeychainError */
export async function runKeyShow({ keychain }: Values<typeof keyShowOptions>): Promise<void> {
  const { certificate, previous, chain } = await inspectKeychain(keychain);
  const { notBeforeMs, notAfterMs } = certificate.validity;
  say(`name    ${certificate.certificateName}`);
  say(`digest  ${certificate.digest}`);
  say(`type    ${describeKey(certificate.publicKey)}`);
  say(`valid   ${day(notBeforeMs)} to ${day(notAfterMs)}, ${daysLeft(certificate.validity, Date.now())} days left`);
  say(`issuer  ${isOwn(certificate, previous) ? "itself" : issuerText(certificate)}`);
  for (const { certificateName } of [...previous, ...chain]) say(`also    ${certificateName}`);
  warnOfExpiry(certificate);
}

/** Make a new certificate, and with `--new-key` a new key. @throws KeychainError */
export async function runKeyRenew(values: Values<typeof keyRenewOptions>): Promise<void> {
  const key = values.newKey ? newKey() : undefined;
  const renewal = await renewCertificate(values.keychain, key, Date.now());
  const { certificate, previous, isFollowed, wasIssued, backup } = renewal;
  announce(certificate);
  if (backup) say(`the old key is kept in ${backup}`);
  if (wasIssued) sayHowToBeIssued(previous);
  else if (isFollowed) {
    const end = day(previous.validity.notAfterMs);
    say(`pullers that trust ${previous.digest} trust this one too, until ${end}; give them the new anchor before`);
  } else say("the old certificate was not valid any more: pullers need the new anchor now");
  say(takenAtRestart);
}

function sayHowToBeIssued(previous: Certificate): void {
  say(`the old certificate was issued by ${issuerText(previous)}; the new key has signed its own, so now`);
  say("  1. ndn-registry key export request.ndncert");
  say("  2. have that signed by the issuer");
  say("  3. ndn-registry key import issued.ndncert");
  say("until then pullers believe the server only with the anchor above");
}

/** Write the certificate to a file or to standard output. @throws KeychainError, CommandError */
export async function runKeyExport({ keychain, file }: Values<typeof keyExportOptions>): Promise<void> {
  const { certificate } = await inspectKeychain(keychain);
  if (file === undefined) process.stdout.write(formatCertificates([certificate]));
  else orCommandError(file, () => exportAnchor({ certificate: certificate.wire }, file));
}

/** Take over a key, or a certificate issued for the one here. @throws KeychainError, CommandError, OptionError */
export async function runKeyImport(values: Values<typeof keyImportOptions>): Promise<void> {
  const done = await importFile(values, process.env);
  announce(done.certificate);
  if (done.backup) say(`what was there is kept in ${done.backup}`);
  say(takenAtRestart);
}

async function importFile(
  { file, chain: chainFile, passwordFile, keychain, replace }: Values<typeof keyImportOptions>,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Import> {
  const bytes = orCommandError(file, () => readFileSync(file));
  const chain = chainFile ? orCommandError(chainFile, () => parseCertificates(readFileSync(chainFile))) : undefined;
  const nowMs = Date.now();
  if (!isSafeBag(bytes)) {
    orCommandError(file, () => parseCertificates(bytes));
    return importCertificate(keychain, bytes, { chain, nowMs });
  }
  const passphrase = passphraseFrom(passwordFile, env);
  const credentials = orCommandError(file, () => openSafeBag(bytes, passphrase));
  return importCredentials(keychain, credentials, { replace: replace === true, chain, nowMs });
}

/** From a file or the environment, never from the command line, where all users of the machine see it. */
function passphraseFrom(file: string | undefined, env: Readonly<Record<string, string | undefined>>): string {
  if (file) return orCommandError(file, () => readFileSync(file, "utf8").replace(/\r?\n$/, ""));
  const passphrase = env.DOCKER_NDN_SAFEBAG_PASSWORD;
  if (passphrase) return passphrase;
  throw new OptionError("the SafeBag's passphrase is needed: DOCKER_NDN_SAFEBAG_PASSWORD or --password-file FILE");
}

function announce(certificate: Certificate): void {
  say(`certificate ${certificate.certificateName}`);
  say(`anchor      ${certificate.digest}`);
  warnOfExpiry(certificate);
}

function warnOfExpiry(certificate: Certificate): void {
  const warning = expiryWarning(certificate, Date.now());
  if (warning) process.stderr.write(`ndn-registry: ${warning}\n`);
}

function issuerText(certificate: Certificate): string {
  const issuer = issuerOf(certificate);
  return issuer ? formatName(issuer.name) : "unknown";
}

function orCommandError<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (err: unknown) {
    throw new CommandError(`${file}: ${(err as Error).message}`, { cause: err });
  }
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
