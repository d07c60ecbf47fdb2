import { createPublicKey, type KeyObject } from "node:crypto";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Data } from "@ndn/packet";
import { Decoder } from "@ndn/tlv";
import { describe, expect, test } from "vitest";
import { parseName } from "#ndn/packet/name.ts";
import { tlv } from "#ndn/packet/tlv.ts";
import { formatCertificates } from "#ndn/trust/certificate-file.ts";
import { importCertificate, importCredentials } from "#ndn/trust/key-import.ts";
import { renewCertificate } from "#ndn/trust/key-renewal.ts";
import { KeychainError, openIdentity } from "#ndn/trust/keychain.ts";
import { isSafeBag, openSafeBag } from "#ndn/trust/safe-bag.ts";
import { encodeSignedData } from "#ndn/trust/signed-data.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { Authority, type Kind, kinds } from "./authority.ts";
import { CertificateNetwork, prefix, ruleBrokenBy, verifierFor } from "./network.ts";

const passphrase = "correct horse";
const packetName = parseName("/example/registry/repository/blob");
const signedOptions = { contentType: 0, freshnessMs: 1000, content: Buffer.from("content") };
const inUse = { fromMs: Date.now() - 1000, toMs: Date.now() + 1e10 };
const keep = { replace: false, chain: undefined, nowMs: Date.now() };

/** What `ndnsec export` writes, in lines of 64 characters. */
function safeBag(certificate: Buffer, key: KeyObject, cipher = "aes-256-cbc"): Buffer {
  const encrypted = key.export({ type: "pkcs8", format: "der", cipher, passphrase });
  const bag = tlv(0x80, certificate, tlv(0x81, encrypted)).toString("base64");
  return Buffer.from(`${bag.match(/.{1,64}/g)!.join("\n")}\n`);
}

function bagOf(authority: Authority, cipher?: string): Buffer {
  return safeBag(authority.wire, authority.privateKey, cipher);
}

describe("a SafeBag is opened", () => {
  test.each(
    (Object.keys(kinds) as Kind[]).flatMap((kind) => ["aes-256-cbc", "des-ede3-cbc"].map((c) => [kind, c] as const)),
  )("that holds a key of kind %s under %s", async (kind, cipher) => {
    const authority = await Authority.make("/example/registry", { kind });
    const bag = bagOf(authority, cipher);
    expect(isSafeBag(bag)).toBe(true);
    const { key, certificate } = openSafeBag(bag, passphrase);
    expect(certificate.wire.equals(authority.wire)).toBe(true);
    expect(createPublicKey(key).equals(createPublicKey(authority.privateKey))).toBe(true);
  });

  test("but not with a wrong passphrase, which no message repeats", async () => {
    const bag = bagOf(await Authority.make("/example/registry"));
    for (const wrong of ["wrong horse", ""]) {
      expect(() => openSafeBag(bag, wrong)).toThrow(/is the passphrase right/);
      expect(() => openSafeBag(bag, wrong)).not.toThrow(/horse/);
    }
  });

  test("but not when the key is another than the certificate's", async () => {
    const [one, other] = [await Authority.make("/a"), await Authority.make("/a")];
    expect(() => openSafeBag(safeBag(one.wire, other.privateKey), passphrase)).toThrow(/another key/);
  });

  test("but not when it is cut off or lacks a part", async () => {
    const authority = await Authority.make("/a");
    const bag = bagOf(authority);
    expect(() => openSafeBag(bag.subarray(0, 200), passphrase)).toThrow(/not a SafeBag/);
    expect(() => openSafeBag(tlv(0x80, authority.wire), passphrase)).toThrow(/lacks/);
    expect(isSafeBag(authority.wire)).toBe(false);
  });
});

describe("an imported identity", () => {
  test.each(Object.keys(kinds) as Kind[])("signs with its key of kind %s, which pullers believe", async (kind) => {
    await using folder = await makeTemporaryFolder();
    const root = await Authority.make("/example", inUse);
    const server = await Authority.make("/example/registry", { kind, issuer: root, ...inUse });
    await importCredentials(folder.path, openSafeBag(bagOf(server), passphrase), { ...keep, chain: [root.ours] });
    const identity = await openIdentity(folder.path, prefix);
    expect(identity.digest).toBe(server.ours.digest);
    expect(identity.certificates.map(({ wire }) => wire)).toEqual([server.wire, root.wire]);
    const packet = await encodeSignedData(packetName, signedOptions, identity.signer);
    await server.ndntsVerify(new Decoder(packet).decode(Data));
    const verifier = await verifierFor([root], new CertificateNetwork(server), Date.now);
    expect(await ruleBrokenBy(verifier, packet)).toBeUndefined();
  });

  test("may be above the prefix, but not beside it", async () => {
    await using folder = await makeTemporaryFolder();
    const root = await Authority.make("/", inUse);
    const site = await Authority.make("/example", { issuer: root, ...inUse });
    await importCredentials(folder.path, openSafeBag(bagOf(site), passphrase), keep);
    expect((await openIdentity(folder.path, prefix)).digest).toBe(site.ours.digest);
    await expect(openIdentity(folder.path, parseName("/other"))).rejects.toThrow(
      /\/example, which is no prefix of \/other/,
    );
    expect((await openIdentity(folder.path, prefix)).digest).toBe(site.ours.digest);
  });

  test("does not replace a key that is there, unless told to; then that is kept", async () => {
    await using folder = await makeTemporaryFolder();
    await openIdentity(folder.path, prefix);
    const pem = await readFile(join(folder.path, "signing-key.pem"), "utf8");
    const before = await readdir(folder.path);
    const server = await Authority.make("/example/registry", inUse);
    const credentials = openSafeBag(bagOf(server), passphrase);
    await expect(importCredentials(folder.path, credentials, keep)).rejects.toThrow(/--replace/);
    expect(await readdir(folder.path)).toEqual(before);
    const { backup } = await importCredentials(folder.path, credentials, { ...keep, replace: true });
    expect(await readFile(join(backup!, "signing-key.pem"), "utf8")).toBe(pem);
    expect((await stat(backup!)).mode & 0o777).toBe(0o700);
    expect((await stat(join(backup!, "signing-key.pem"))).mode & 0o777).toBe(0o600);
    expect((await openIdentity(folder.path, prefix)).digest).toBe(server.ours.digest);
  });

  test("replaces a keychain that cannot be read as well", async () => {
    await using folder = await makeTemporaryFolder();
    await writeFile(join(folder.path, "signing-key.pem"), "torn");
    const server = await Authority.make("/example/registry", inUse);
    const credentials = openSafeBag(bagOf(server), passphrase);
    await expect(importCredentials(folder.path, credentials, keep)).rejects.toThrow(KeychainError);
    await importCredentials(folder.path, credentials, { ...keep, replace: true });
    expect((await openIdentity(folder.path, prefix)).digest).toBe(server.ours.digest);
  });
});

describe("a certificate that someone else issued for our key", () => {
  test("takes the place of our own, which is published on; only its issuer renews it", async () => {
    await using folder = await makeTemporaryFolder();
    const own = await openIdentity(folder.path, prefix);
    const issuer = await Authority.make("/example", inUse);
    const issued = await issuer.certify(own.certificate, inUse);
    const file = Buffer.from(formatCertificates([issued, issuer.ours]));
    await importCertificate(folder.path, file, { chain: undefined, nowMs: Date.now() });
    const identity = await openIdentity(folder.path, prefix);
    expect(identity.digest).toBe(issued.digest);
    expect(identity.certificates.map(({ wire }) => wire)).toEqual([issued.wire, own.certificate, issuer.wire]);
    const packet = await encodeSignedData(packetName, signedOptions, identity.signer);
    const network = new CertificateNetwork();
    Object.assign(network, { fetch: () => Promise.resolve(issued.wire) });
    expect(await ruleBrokenBy(await verifierFor([issuer], network, Date.now), packet)).toBeUndefined();
    await expect(renewCertificate(folder.path, undefined, Date.now())).rejects.toThrow(/issued by someone else/);
  });

  test("is refused when it is of another key, or there is none", async () => {
    await using folder = await makeTemporaryFolder();
    const stranger = Buffer.from(formatCertificates([(await Authority.make("/example/registry")).ours]));
    const options = { chain: undefined, nowMs: Date.now() };
    await expect(importCertificate(folder.path, stranger, options)).rejects.toThrow(/not of the key here/);
    const { digest } = await openIdentity(folder.path, prefix);
    await expect(importCertificate(folder.path, stranger, options)).rejects.toThrow(/not of the key here/);
    expect((await openIdentity(folder.path, prefix)).digest).toBe(digest);
  });
});
