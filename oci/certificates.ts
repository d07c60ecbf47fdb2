/** Certificates in files, as PEM (RFC 7468). */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";

/** Every certificate in a file, each as PEM; what stands between them is skipped. @throws Error when there is none, or one that cannot be read. */
export function readCertificates(file: string): readonly string[] {
  const text = readFileSync(file, "utf8");
  const found = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (found.length === 0) throw new Error(`${file} has no certificate in PEM form`);
  for (const pem of found) checkCertificate(file, pem);
  return found;
}

function checkCertificate(file: string, pem: string): void {
  try {
    new X509Certificate(pem);
  } catch (err: unknown) {
    throw new Error(`${file} has a certificate that cannot be read: ${(err as Error).message}`, { cause: err });
  }
}
