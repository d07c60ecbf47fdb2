import { beforeEach, expect, test } from "vitest";
import { parseName } from "#ndn/packet/name.ts";
import { TrustAnchors } from "#ndn/trust/anchors.ts";
import { CertificateFetches, SecondAnswers } from "#ndn/trust/certificate-fetches.ts";
import { createVerifier } from "#ndn/trust/verifier.ts";
import { Authority, nowMs } from "./authority.ts";
import { forgeryOf } from "./forged.ts";
import { CertificateNetwork, inTime, prefix, ruleBrokenBy, verifierFor } from "./network.ts";

const packetName = "/example/registry/repository/blob";
let forger: Authority;
let root: Authority;
let site: Authority;
let server: Authority;
let network: CertificateNetwork;

beforeEach(async () => {
  forger = await Authority.make("/example");
  root = await Authority.make("/example");
  site = await Authority.make("/example", { issuer: root });
  server = await Authority.make("/example/registry", { issuer: site });
  network = new CertificateNetwork(server, site, root);
});

const nameOf = (authority: Authority) => authority.ours.certificateName;

test.each([
  ["signed by itself", () => forgeryOf(server.wire, forger, server.name)],
  ["signed by an issuer that is not there", () => forgeryOf(server.wire, forger)],
  ["said to be signed by its issuer", () => forgeryOf(server.wire, forger, site.name)],
  ["signed by an issuer that may not", () => forgeryOf(server.wire, forger, "/other/KEY/k/i/v")],
  ["of an ended time", async () => (await server.again({ issuer: site, toMs: nowMs - 1000 })).wire],
  ["that is none", () => forger.sign(server.name)],
  ["that is no packet", () => Promise.resolve(Buffer.from("0600", "hex"))],
])("a cached certificate %s costs one question more, and stops nothing", async (_, forge) => {
  network.cache.set(nameOf(server), await forge());
  const verifier = await verifierFor([root], network);
  const packet = await server.sign(packetName);
  expect(await ruleBrokenBy(verifier, packet)).toBeUndefined();
  expect(network.askedPastCaches).toEqual([nameOf(server)]);
  expect(await ruleBrokenBy(verifier, packet)).toBeUndefined();
  expect(network.askedPastCaches).toHaveLength(1);
});

test("the forged one may be any of a chain, or all of them", async () => {
  for (const forged of [[site], [server, site]]) {
    network = new CertificateNetwork(server, site);
    for (const certificate of forged) network.cache.set(nameOf(certificate), await forgeryOf(certificate.wire, forger));
    const verifier = await verifierFor([root], network);
    expect(await ruleBrokenBy(verifier, await server.sign(packetName))).toBeUndefined();
    expect(network.askedPastCaches).toEqual([nameOf(server), nameOf(site)]);
  }
});

test("who has only the digest of the anchor is helped as well", async () => {
  network.cache.set(nameOf(server), await forgeryOf(server.wire, forger));
  const anchors = TrustAnchors.load([server.ours.digest]);
  const verifier = createVerifier({ anchors, prefix, fetchCertificate: network.fetch, now: () => nowMs });
  expect(await ruleBrokenBy(verifier, await server.sign(packetName))).toBeUndefined();
  expect(network.askedPastCaches).toEqual([nameOf(server)]);
});

test("a certificate that leads to no anchor is asked for once more in ten seconds, however many packets name it", async () => {
  const impostor = await Authority.make("/example/registry");
  network = new CertificateNetwork(impostor);
  let now = nowMs;
  const verifier = await verifierFor([root], network, () => now);
  const packet = await impostor.sign(packetName);
  const byKey = await impostor.sign(packetName, impostor.keyName);
  const rules = () => Promise.all([packet, packet, byKey].map((one) => ruleBrokenBy(verifier, one)));
  for (const later of [0, 9_999, 10_000]) {
    now = nowMs + later;
    expect(await rules()).toEqual(["not-anchored", "not-anchored", "not-anchored"]);
    const rounds = later < 10_000 ? 1 : 2;
    expect(network.askedPastCaches.filter((name) => name === nameOf(impostor))).toHaveLength(rounds);
    expect(network.askedPastCaches).toHaveLength(2 * rounds);
  }
});

test("the issuer of many forged certificates is asked for once more, and not for each of them", async () => {
  network.cache.set(nameOf(site), await forgeryOf(site.wire, forger, site.name));
  network.published.splice(network.published.indexOf(site), 1);
  const verifier = await verifierFor([root], network);
  const subjects = [];
  for (let i = 0; i < 5; i++) subjects.push(await Authority.make("/example/registry", { issuer: site }));
  network.published.push(...subjects);
  for (const subject of subjects) expect(await ruleBrokenBy(verifier, await subject.sign(packetName))).toBeDefined();
  expect(network.askedPastCaches.filter((name) => name === nameOf(site))).toHaveLength(1);
});

test("packets that wait for the same certificate share the second question, and later ones its answer", async () => {
  network.cache.set(nameOf(server), await forgeryOf(server.wire, forger));
  const [asked, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  network.before = async () => {
    if (network.askedPastCaches.length === 0) return;
    asked.resolve();
    await gate.promise;
  };
  const verifier = await verifierFor([root], network);
  const packet = await server.sign(packetName);
  const rules = Array.from({ length: 20 }, () => ruleBrokenBy(verifier, packet));
  await asked.promise;
  gate.resolve();
  expect(new Set(await Promise.all(rules))).toEqual(new Set([undefined]));
  expect(network.askedPastCaches).toHaveLength(1);
});

test("one that goes away while it is asked again is no refusal", async () => {
  network.cache.set(nameOf(server), await forgeryOf(server.wire, forger));
  const leaving = new AbortController();
  network.before = async () => {
    if (network.askedPastCaches.length === 0) return;
    leaving.abort(new Error("gone"));
    await new Promise(() => {});
  };
  const verifier = await verifierFor([root], network);
  const packet = await server.sign(packetName);
  await expect(verifier.verify(packet, leaving.signal)).rejects.toThrow("gone");
  network.before = () => Promise.resolve();
  expect(await ruleBrokenBy(verifier, packet)).toBeUndefined();
});

test("that too many certificates are asked for is no answer: the second question is still to be asked", async () => {
  const gate = Promise.withResolvers<void>();
  network.before = () => gate.promise;
  const fetches = new CertificateFetches(network.fetch);
  const second = new SecondAnswers({ fetches, now: () => nowMs });
  const flood = Array.from({ length: 64 }, (_, i) => fetches.get(parseName(`/example/KEY/${i}/i/v`), inTime()));
  const { name, digest } = server.ours;
  await expect(second.get(name, inTime())).rejects.toMatchObject({ rule: "busy" });
  gate.resolve();
  await Promise.allSettled(flood);
  expect((await second.get(name, inTime()))?.digest).toBe(digest);
  expect(second.find(name)?.digest).toBe(digest);
});

test("where no one answers the second question, what the first one brought is what counts", async () => {
  const fetchCertificate: typeof network.fetch = (name, signal, isPastCaches) =>
    isPastCaches ? Promise.reject(new Error("no one answers")) : network.fetch(name, signal);
  const anchors = TrustAnchors.load([root.ours.digest]);
  const verifier = createVerifier({ anchors, prefix, fetchCertificate, now: () => nowMs });
  const stranger = await Authority.make("/example/registry", { issuer: forger });
  network.published.push(stranger, forger);
  await expect(verifier.verify(await stranger.sign(packetName), inTime())).rejects.toMatchObject({
    rule: "not-anchored",
  });
  expect(await ruleBrokenBy(verifier, await server.sign(packetName))).toBeUndefined();
});
