/** Self-signed certificates, made with openssl. */
import { join } from "node:path";
import type { TlsFiles } from "#client/listener/tls.ts";
import { programPath } from "#test/support/programs.ts";
import { run } from "#test/support/run.ts";

/** Make `<name>.crt` and `<name>.key` in the folder. @param altName - In openssl's form, such as `DNS:registry.test`. */
export async function makeCertificate(folder: string, name: string, altName = "IP:127.0.0.1"): Promise<TlsFiles> {
  const files = { certFile: join(folder, `${name}.crt`), keyFile: join(folder, `${name}.key`) };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", files.keyFile];
  const subject = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=${altName}`];
  await run(programPath("openssl"), ["req", "-x509", "-days", "30", ...key, ...subject, "-out", files.certFile]);
  return files;
}
