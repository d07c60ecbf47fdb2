import { expect, test } from "vitest";
import { generic, joinName, keyword, parseName } from "#ndn/packet/name.ts";
import { keyComponent } from "#ndn/trust/certificate.ts";
import { CertificateDirectory } from "#ndn/trust/certificate-directory.ts";
import { Authority, nowMs } from "./authority.ts";
import { prefix } from "./network.ts";

async function published() {
  const old = await Authority.make("/example/registry", { toMs: nowMs - 1000 });
  const issuer = await Authority.make("/example");
  const own = await old.again({ issuer });
  const certificates = { own: own.ours, old: old.ours, issuer: issuer.ours };
  return { ...certificates, directory: new CertificateDirectory(Object.values(certificates), () => nowMs) };
}

test("a certificate is answered by its name, valid or not", async () => {
  const { directory, own, old, issuer } = await published();
  for (const { name, wire } of [own, old, issuer]) {
    expect(directory.answer(name, false)).toBe(wire);
    expect(directory.answer(name, true)).toBe(wire);
  }
});

test("by a part of its name down to KEY, the first that is valid is answered", async () => {
  const { directory, own, issuer } = await published();
  expect(directory.answer(own.keyName, true)).toBe(own.wire);
  expect(directory.answer(joinName(prefix, keyComponent), true)).toBe(own.wire);
  expect(directory.answer(issuer.keyName, true)).toBe(issuer.wire);
});

test("everything else is silence", async () => {
  const { directory, own } = await published();
  const strangers = [prefix, parseName("/"), parseName("/example/KEY/other"), joinName(own.name, generic("more"))];
  for (const name of [...strangers, joinName(prefix, keyword("metadata"))]) {
    expect(directory.answer(name, true)).toBeUndefined();
  }
  expect(directory.answer(own.keyName, false)).toBeUndefined();
  expect(directory.lookup(prefix, { canBePrefix: true, mustBeFresh: false, forwardingHint: [] })).toBeUndefined();
});

test("a producer gets it as a ready packet", async () => {
  const { directory, own } = await published();
  const interest = { canBePrefix: true, mustBeFresh: true, forwardingHint: [] };
  const request = directory.lookup(own.keyName, interest);
  expect(request?.segment).toBeUndefined();
  expect(await request?.answer()).toBe(own.wire);
});

test("names outside the prefix have to be registered as well", async () => {
  const { directory } = await published();
  expect(directory.namesOutside(prefix)).toEqual([parseName("/example/KEY")]);
  expect(directory.namesOutside(parseName("/example"))).toEqual([]);
});
