/**
 * Certificate and key of the endpoint.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import type { Server } from "node:https";
import { createSecureContext } from "node:tls";
import type { Logger } from "pino";
import { ListenerFileError, readText, versionOf } from "./watched-file.ts";

/** Where certificate (with its chain) and key are, both PEM. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** Options for `https.createServer`, and for `setSecureContext`. */
export interface TlsOptions {
  readonly cert: string;
  readonly key: string;
  readonly minVersion: "TLSv1.2";
  /** How long a connection may take to agree on TLS, in milliseconds. */
  readonly handshakeTimeout: number;
}

/** What the files hold. */
export interface Tls {
  readonly options: TlsOptions;
  /** What pullers will complain about, though the endpoint can start. */
  readonly warnings: readonly string[];
  /** Of the files as they were read, see `reloadTls`. */
  readonly version: string;
}

const handshakeTimeoutMs = 10_000;
const lookEveryMs = 60_000;
const soonMs = 7 * 24 * 3_600_000;

/**
 * Read and check the files.
 *
 * @param nowMs - Time since the epoch.
 * @throws ListenerFileError
 */
export function readTls({ certFile, keyFile }: TlsFiles, nowMs = Date.now()): Tls {
  const version = `${versionOf(certFile)} ${versionOf(keyFile)}`; // before they are read: no change goes unseen
  const cert = readText(certFile, "TLS certificate");
  const key = readText(keyFile, "TLS key");
  const certificate = parseCertificate(cert, certFile);
  if (!certificate.checkPrivateKey(parseKey(key, keyFile)))
    throw new ListenerFileError(`TLS key ${keyFile} does not belong to the certificate ${certFile}`);
  const options = { cert, key, minVersion: "TLSv1.2", handshakeTimeout: handshakeTimeoutMs } as const;
  try {
    createSecureContext(options); // the rest of the chain, keys that are too short
  } catch (err: unknown) {
    throw new ListenerFileError(`TLS certificate ${certFile}: ${(err as Error).message}`, { cause: err });
  }
  return { options, warnings: warningsOf(certificate, certFile, nowMs), version };
}

/**
 * Look at the files once a minute, and when they have changed use them for new connections; what is wrong with them is a
 * warning, and the old ones stay in use.
 *
 * @param version - Of the files that the server began with, from `readTls`.
 * @returns `look` reads them at once, changed or not; `end` ends it.
 */
export function reloadTls(
  server: Pick<Server, "setSecureContext">,
  files: TlsFiles,
  version: string,
  log: Pick<Logger, "info" | "warn">,
): { look(): void; end(): void } {
  let seen = version;
  const read = (now: string) => {
    seen = now;
    try {
      const { options, warnings } = readTls(files);
      server.setSecureContext(options);
      log.info({ cert: files.certFile }, "TLS certificate reloaded");
      for (const warning of warnings) log.warn(warning);
    } catch (err: unknown) {
      log.warn({ reason: (err as Error).message }, "TLS files cannot be used; the old ones stay in use");
    }
  };
  const versionNow = () => `${versionOf(files.certFile)} ${versionOf(files.keyFile)}`;
  const timer = setInterval(() => {
    const now = versionNow();
    if (now !== seen) read(now);
  }, lookEveryMs).unref();
  return { look: () => read(versionNow()), end: () => clearInterval(timer) };
}

function parseCertificate(text: string, file: string): X509Certificate {
  if (!text.includes("-----BEGIN CERTIFICATE-----")) {
    const found = /-----BEGIN ([A-Z ]+)-----/.exec(text)?.[1];
    const what = found ? `it holds a ${found}` : "it is not PEM (-----BEGIN CERTIFICATE-----)";
    throw new ListenerFileError(`TLS certificate ${file}: ${what}`);
  }
  try {
    return new X509Certificate(text);
  } catch (err: unknown) {
    throw new ListenerFileError(`TLS certificate ${file}: its PEM is damaged`, { cause: err });
  }
}

function parseKey(text: string, file: string): KeyObject {
  if (!/-----BEGIN ([A-Z]+ )*PRIVATE KEY-----/.test(text))
    throw new ListenerFileError(`TLS key ${file}: it is not a private key in PEM (-----BEGIN PRIVATE KEY-----)`);
  if (/-----BEGIN ENCRYPTED |^Proc-Type: 4,ENCRYPTED/m.test(text))
    throw new ListenerFileError(`TLS key ${file}: it has a passphrase; store it without one, mode 0600`);
  try {
    return createPrivateKey(text);
  } catch (err: unknown) {
    throw new ListenerFileError(`TLS key ${file}: its PEM is damaged`, { cause: err });
  }
}

function warningsOf(certificate: X509Certificate, file: string, nowMs: number): string[] {
  const { validFrom, validTo, validFromDate, validToDate } = certificate;
  if (nowMs < validFromDate.getTime()) return [`TLS certificate ${file} is not valid before ${validFrom}`];
  if (nowMs > validToDate.getTime()) return [`TLS certificate ${file} has expired on ${validTo}`];
  return nowMs + soonMs > validToDate.getTime() ? [`TLS certificate ${file} expires on ${validTo}`] : [];
}
