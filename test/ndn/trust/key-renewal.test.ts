import { readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Certificate, createVerifier as createNdntsVerifier } from "@ndn/keychain";
import { Data } from "@ndn/packet";
import { Decoder } from "@ndn/tlv";
import { expect, test } from "vitest";
import { formatName, parseName } from "#ndn/packet/name.ts";
import { TrustAnchors } from "#ndn/trust/anchors.ts";
import { CertificateDirectory } from "#ndn/trust/certificate-directory.ts";
import { formatCertificates } from "#ndn/trust/certificate-file.ts";
import { writeOthers } from "#ndn/trust/key-files.ts";
import { importCertificate } from "#ndn/trust/key-import.ts";
import { renewCertificate } from "#ndn/trust/key-renewal.ts";
import { exportAnchor, type Identity, inspectKeychain, newKey, openIdentity } from "#ndn/trust/keychain.ts";
import { encodeSignedData } from "#ndn/trust/signed-data.ts";
import { expiryWarning } from "#ndn/trust/validity.ts";
import { createVerifier } from "#ndn/trust/verifier.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { Authority } from "./authority.ts";
import { prefix, ruleBrokenBy } from "./network.ts";

const dayMs = 86_400_000;
const packetName = parseName("/example/registry/repository/blob");

async function packetOf({ signer }: Identity): Promise<Buffer> {
  return encodeSignedData(packetName, { contentType: 0, freshnessMs: 1000, content: Buffer.from("content") }, signer);
}

/** Someone who trusts `anchor` and gets certificates from the server `identity`. */
function puller(anchor: string, identity: Identity, now = Date.now) {
  const directory = new CertificateDirectory(identity.certificates);
  const fetchCertificate = async (name: Buffer) => {
    const wire = directory.answer(name, true);
    if (wire === undefined) throw new Error("no one answers");
    return wire;
  };
  return createVerifier({ anchors: TrustAnchors.load([anchor]), prefix, fetchCertificate, now });
}

test.each([
  ["the same key", false],
  ["a new key", true],
])("who trusts the first certificate trusts its renewals with %s, by file and by digest", async (_, isNew) => {
  await using folder = await makeTemporaryFolder();
  const first = await openIdentity(folder.path, prefix);
  const file = join(folder.path, "anchor");
  exportAnchor(first, file);
  for (let i = 0; i < 2; i++) {
    const { isFollowed, backup } = await renewCertificate(folder.path, isNew ? newKey() : undefined, Date.now());
    expect({ isFollowed, hasBackup: backup !== undefined }).toEqual({ isFollowed: true, hasBackup: isNew });
  }
  const renewed = await openIdentity(folder.path, prefix);
  expect(renewed.digest).not.toBe(first.digest);
  expect(renewed.certificates).toHaveLength(3);
  const packet = await packetOf(renewed);
  for (const anchor of [file, first.digest, renewed.digest]) {
    expect(await ruleBrokenBy(puller(anchor, renewed), packet)).toBeUndefined();
  }
});

test("a renewed certificate is what NDNts verifies packets with", async () => {
  await using folder = await makeTemporaryFolder();
  await openIdentity(folder.path, prefix);
  await renewCertificate(folder.path, newKey(), Date.now());
  const identity = await openIdentity(folder.path, prefix);
  const certificate = Certificate.fromData(new Decoder(identity.certificate).decode(Data));
  const verifier = await createNdntsVerifier(certificate);
  await expect(verifier.verify(new Decoder(await packetOf(identity)).decode(Data))).resolves.toBeUndefined();
});

test("the same key continues under a certificate of ten more years, which says so in its name", async () => {
  await using folder = await makeTemporaryFolder();
  const first = await openIdentity(folder.path, prefix);
  const later = Date.now() + 3600 * dayMs;
  expect(expiryWarning(first, later)).toBeUndefined();
  expect(expiryWarning(first, later + 25 * dayMs)).toMatch(/expires in 24 days/);
  const { certificate, previous } = await renewCertificate(folder.path, undefined, later);
  expect(previous.digest).toBe(first.digest);
  expect(certificate.keyName.equals(previous.keyName)).toBe(true);
  expect(certificate.certificateName > previous.certificateName).toBe(true);
  expect(expiryWarning(certificate, later + 25 * dayMs)).toBeUndefined();
});

test("a certificate that has ended vouches for nothing and is published no more", async () => {
  await using folder = await makeTemporaryFolder();
  const first = await openIdentity(folder.path, prefix);
  const later = first.validity.notAfterMs + dayMs;
  const { certificate, isFollowed } = await renewCertificate(folder.path, undefined, later);
  expect(isFollowed).toBe(false);
  const { previous } = await inspectKeychain(folder.path);
  expect(previous).toEqual([]);
  const renewed = await openIdentity(folder.path, prefix);
  const packet = await packetOf(renewed);
  expect(
    await ruleBrokenBy(
      puller(first.digest, renewed, () => later),
      packet,
    ),
  ).toBe("not-anchored");
  expect(
    await ruleBrokenBy(
      puller(certificate.digest, renewed, () => later),
      packet,
    ),
  ).toBeUndefined();
});

test("after a crash between the key and its certificate, the new ones are taken", async () => {
  await using folder = await makeTemporaryFolder();
  const [key, certificate] = ["signing-key.pem", "certificate.ndncert"].map((name) => join(folder.path, name));
  const { digest: oldDigest } = await openIdentity(folder.path, prefix);
  const [oldKey, oldCertificate] = [await readFile(key!), await readFile(certificate!)];
  const { certificate: made } = await renewCertificate(folder.path, newKey(), Date.now());
  const newKeyText = await readFile(key!);
  await rename(certificate!, `${certificate}.next`);
  await writeFile(certificate!, oldCertificate);
  expect((await openIdentity(folder.path, prefix)).digest).toBe(made.digest);

  await rename(certificate!, `${certificate}.next`);
  await writeFile(certificate!, oldCertificate);
  await writeFile(key!, oldKey);
  expect((await openIdentity(folder.path, prefix)).digest).toBe(oldDigest);
  await writeFile(key!, newKeyText);
  expect((await openIdentity(folder.path, prefix)).digest).toBe(made.digest);
});

test("the old key is kept in a folder for its owner only, one for each renewal", async () => {
  await using folder = await makeTemporaryFolder();
  await openIdentity(folder.path, prefix);
  const pem = await readFile(join(folder.path, "signing-key.pem"), "utf8");
  const nowMs = Date.now();
  const backups = [];
  for (let i = 0; i < 3; i++) backups.push((await renewCertificate(folder.path, newKey(), nowMs)).backup!);
  expect(new Set(backups).size).toBe(3);
  expect(await readFile(join(backups[0]!, "signing-key.pem"), "utf8")).toBe(pem);
  expect((await stat(backups[0]!)).mode & 0o777).toBe(0o700);
});

test("a stolen key whose certificate was issued is replaced by one that its issuer can certify", async () => {
  await using folder = await makeTemporaryFolder();
  const period = { fromMs: 0, toMs: Date.now() + 1000 * dayMs };
  const issuer = await Authority.make("/example", period);
  const options = { chain: [issuer.ours], nowMs: Date.now() };
  const imported = async () => {
    const { certificate } = await inspectKeychain(folder.path);
    const issued = await issuer.certify(certificate.wire, { ...period, locator: issuer.name });
    await importCertificate(folder.path, Buffer.from(formatCertificates([issued])), options);
    return issued;
  };
  await openIdentity(folder.path, prefix);
  const stolen = await imported();
  const pem = await readFile(join(folder.path, "signing-key.pem"), "utf8");

  const { certificate, isFollowed, wasIssued, backup } = await renewCertificate(folder.path, newKey(), Date.now());
  expect({ isFollowed, wasIssued }).toEqual({ isFollowed: false, wasIssued: true });
  expect(await readFile(join(backup!, "signing-key.pem"), "utf8")).toBe(pem);
  expect((await inspectKeychain(backup!)).certificate.digest).toBe(stolen.digest);
  const alone = await openIdentity(folder.path, prefix);
  expect(alone.certificates.map(({ name }) => formatName(name))).toEqual(
    [certificate, issuer.ours].map(({ certificateName }) => certificateName),
  );
  expect(await ruleBrokenBy(puller(certificate.digest, alone), await packetOf(alone))).toBeUndefined();
  for (const anchor of [issuer.ours.digest, stolen.digest]) {
    expect(await ruleBrokenBy(puller(anchor, alone), await packetOf(alone))).toBe("not-anchored");
  }

  const issued = await imported();
  expect(issued.keyName.equals(stolen.keyName)).toBe(false);
  const again = await openIdentity(folder.path, prefix);
  expect(await ruleBrokenBy(puller(issuer.ours.digest, again), await packetOf(again))).toBeUndefined();
});

test("there is nothing to renew before the first start", async () => {
  await using folder = await makeTemporaryFolder();
  await expect(renewCertificate(folder.path, undefined, Date.now())).rejects.toThrow(/no key and certificate yet/);
  await expect(inspectKeychain(folder.path)).rejects.toThrow(/start the server once/);
});

test("at most eight old certificates are kept, the newest", async () => {
  await using folder = await makeTemporaryFolder();
  const newest = await openIdentity(folder.path, prefix);
  const older = (await Authority.make("/example/registry")).ours;
  writeOthers(folder.path, { previous: Array.from({ length: 10 }, () => older) });
  await renewCertificate(folder.path, undefined, Date.now());
  const { previous } = await inspectKeychain(folder.path);
  expect(previous.map(({ digest }) => digest)).toEqual([newest.digest, ...Array(7).fill(older.digest)]);
});

test("the anchor is written for everyone to read", async () => {
  await using folder = await makeTemporaryFolder();
  const identity = await openIdentity(join(folder.path, "keychain"), prefix);
  const path = join(folder.path, "registry.ndncert");
  await writeFile(path, "old", { mode: 0o600 });
  exportAnchor(identity, path);
  expect((await stat(path)).mode & 0o777).toBe(0o644);
  expect(Buffer.from(await readFile(path, "utf8"), "base64").equals(identity.certificate)).toBe(true);
});
