import { createHash } from "node:crypto";
import { lstat, readdir, readFile, stat, symlink, truncate, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Certificate, createVerifier } from "@ndn/keychain";
import { Data } from "@ndn/packet";
import { Decoder } from "@ndn/tlv";
import { expect, test } from "vitest";
import { parseName } from "#ndn/packet/name.ts";
import { inspectKeychain, KeychainError, openIdentity } from "#ndn/trust/keychain.ts";
import { encodeSignedData } from "#ndn/trust/signed-data.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";

const prefix = parseName("/our/prefix");

async function modeOf(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o777).toString(8);
}

test("a key is made once, for its owner only, and the certificate stays the same", async () => {
  await using folder = await makeTemporaryFolder();
  const directory = join(folder.path, "deep", "keychain");
  const first = await openIdentity(directory, prefix);
  expect(first.certificateName).toMatch(/^\/our\/prefix\/KEY\//);
  expect(await modeOf(directory)).toBe("700");
  expect(await modeOf(join(directory, "signing-key.pem"))).toBe("600");
  expect((await readdir(directory)).sort()).toEqual(["certificate.ndncert", "signing-key.pem"]);
  const second = await openIdentity(directory, prefix);
  expect(second.certificateName).toBe(first.certificateName);
  expect(Buffer.from(second.certificate).equals(first.certificate)).toBe(true);
});

test("what is signed verifies against the certificate, also after it was opened again", async () => {
  await using folder = await makeTemporaryFolder();
  const { certificate } = await openIdentity(folder.path, prefix);
  const { signer } = await openIdentity(folder.path, prefix);
  const options = { contentType: 0, freshnessMs: 1, content: Buffer.from("x") };
  const packet = await encodeSignedData(parseName("/our/prefix/data"), options, signer);
  const verifier = await createVerifier(Certificate.fromData(Decoder.decode(certificate, Data)));
  await expect(verifier.verify(Decoder.decode(packet, Data))).resolves.toBeUndefined();
});

test("another prefix gets a certificate of its own for the same key", async () => {
  await using folder = await makeTemporaryFolder();
  const first = await openIdentity(folder.path, prefix);
  const key = await readFile(join(folder.path, "signing-key.pem"), "utf8");
  const other = await openIdentity(folder.path, parseName("/other"));
  expect(other.certificateName).toMatch(/^\/other\/KEY\//);
  expect(other.certificateName).not.toBe(first.certificateName);
  expect(await readFile(join(folder.path, "signing-key.pem"), "utf8")).toBe(key);
  expect((await openIdentity(folder.path, parseName("/other"))).certificateName).toBe(other.certificateName);
});

test("who has changed the prefix and changes it back has the certificate that pullers trust", async () => {
  await using folder = await makeTemporaryFolder();
  const first = await openIdentity(folder.path, prefix);
  const other = await openIdentity(folder.path, parseName("/other"));
  const again = await openIdentity(folder.path, prefix);
  expect(again.digest).toBe(first.digest);
  expect(again.certificates).toHaveLength(2);
  expect((await openIdentity(folder.path, parseName("/other"))).digest).toBe(other.digest);
});

test("a key of which no one can tell whether it is there is not replaced", async () => {
  await using folder = await makeTemporaryFolder();
  const path = join(folder.path, "signing-key.pem");
  await symlink(path, path);
  await expect(openIdentity(folder.path, prefix)).rejects.toThrow(KeychainError);
  await expect(inspectKeychain(folder.path)).rejects.toThrow(/ELOOP/);
  expect((await lstat(path)).isSymbolicLink()).toBe(true);
});

test.each(["signing-key.pem", "certificate.ndncert"])(
  "a truncated %s stops the start and is never replaced",
  async (file) => {
    await using folder = await makeTemporaryFolder();
    await openIdentity(folder.path, prefix);
    const path = join(folder.path, file);
    const { size } = await stat(path);
    for (const left of [Math.floor(size / 2), 20, 1, 0]) {
      await truncate(path, left);
      const broken = await readFile(path);
      await expect(openIdentity(folder.path, prefix)).rejects.toThrow(KeychainError);
      await expect(openIdentity(folder.path, prefix)).rejects.toThrow(/--keychain/);
      expect((await readFile(path)).equals(broken)).toBe(true);
    }
  },
);

test("a certificate without its key, or of another key, stops the start", async () => {
  await using folder = await makeTemporaryFolder();
  await openIdentity(folder.path, prefix);
  await using elsewhere = await makeTemporaryFolder();
  await openIdentity(elsewhere.path, prefix);
  await writeFile(join(folder.path, "signing-key.pem"), await readFile(join(elsewhere.path, "signing-key.pem")));
  await expect(openIdentity(folder.path, prefix)).rejects.toThrow(/another key/);
  await unlink(join(folder.path, "signing-key.pem"));
  await expect(openIdentity(folder.path, prefix)).rejects.toThrow(/signing-key.pem is missing/);
});

test("a directory that cannot be made is a KeychainError", async () => {
  await using folder = await makeTemporaryFolder();
  await writeFile(join(folder.path, "file"), "");
  await expect(openIdentity(join(folder.path, "file", "keychain"), prefix)).rejects.toThrow(KeychainError);
});

test("an identity says what others need to trust it", async () => {
  await using folder = await makeTemporaryFolder();
  const { certificate, certificates, digest, validity } = await openIdentity(folder.path, prefix);
  expect(digest).toBe(`sha256:${createHash("sha256").update(certificate).digest("hex")}`);
  expect(certificates.map(({ wire }) => wire)).toEqual([certificate]);
  expect(validity.notAfterMs - Date.now()).toBeGreaterThan(9.9 * 365 * 86_400_000);
  const { data } = Certificate.fromData(Decoder.decode(certificate, Data));
  expect(data.freshnessPeriod).toBeGreaterThanOrEqual(3_600_000);
});

test("a name below the certificate's continues with it, one beside it gets another, and the old one is kept", async () => {
  await using folder = await makeTemporaryFolder();
  const first = await openIdentity(folder.path, prefix);
  expect((await openIdentity(folder.path, parseName("/our/prefix/below"))).digest).toBe(first.digest);
  const other = await openIdentity(folder.path, parseName("/other"));
  expect(other.certificates.map(({ wire }) => wire)).toEqual([other.certificate, first.certificate]);
});
