import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseName } from "#ndn/packet/name.ts";
import { TrustAnchors } from "#ndn/trust/anchors.ts";
import { CertificateDirectory } from "#ndn/trust/certificate-directory.ts";
import { parseCertificates } from "#ndn/trust/certificate-file.ts";
import { importCertificate } from "#ndn/trust/key-import.ts";
import { exportAnchor, openIdentity } from "#ndn/trust/keychain.ts";
import { encodeSignedData } from "#ndn/trust/signed-data.ts";
import { createVerifier } from "#ndn/trust/verifier.ts";
import { testEnvironment } from "#test/support/environment.ts";
import { programPath } from "#test/support/programs.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { prefix, ruleBrokenBy } from "./network.ts";

describeWith(["ndnd"], "with ndnd as the issuer", () => {
  const ndnd = (args: readonly string[], input: Uint8Array) =>
    execFileSync(programPath("ndnd"), args, { input, env: testEnvironment() });

  test.each([["ed25519"], ["rsa", "2048"], ["ecc", "secp256r1"]])("with a key of kind %s", async (...kind) => {
    await using folder = await makeTemporaryFolder();
    const [rootKey, rootFile, request] = ["root.key", "root.cert", "request"].map((name) => join(folder.path, name));
    await writeFile(rootKey!, ndnd(["sec", "keygen", "/example", ...kind], Buffer.alloc(0)));
    await writeFile(rootFile!, ndnd(["sec", "sign-cert", rootKey!], await readFile(rootKey!)));

    const keychain = join(folder.path, "keychain");
    exportAnchor(await openIdentity(keychain, prefix), request!);
    const requestWire = Buffer.from(await readFile(request!, "utf8"), "base64");
    const armoured = ndnd(["sec", "pem-encode"], requestWire); // it takes no other form
    const issued = ndnd(["sec", "sign-cert", rootKey!, "--issuer", "site"], armoured);
    await importCertificate(keychain, issued, {
      chain: parseCertificates(await readFile(rootFile!)),
      nowMs: Date.now(),
    });

    const { signer, certificates } = await openIdentity(keychain, prefix);
    const options = { contentType: 0, freshnessMs: 1000, content: Buffer.from("content") };
    const packet = await encodeSignedData(parseName("/example/registry/repository/blob"), options, signer);
    const directory = new CertificateDirectory(certificates);
    const fetchCertificate = (name: Buffer) => Promise.resolve(directory.answer(name, true)!);
    const rootDigest = parseCertificates(await readFile(rootFile!))[0]!.digest;
    for (const anchor of [rootFile!, rootDigest]) {
      const verifier = createVerifier({ anchors: TrustAnchors.load([anchor]), prefix, fetchCertificate });
      expect(await ruleBrokenBy(verifier, packet)).toBeUndefined();
    }
  });
});
