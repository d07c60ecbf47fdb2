import { expect, test } from "vitest";
import { Authority, nowMs } from "./authority.ts";
import { CertificateNetwork, inTime, ruleBrokenBy, verifierFor } from "./network.ts";

const packetName = "/example/registry/repository/blob";

async function serverUnder(root: Authority, toMs?: number): Promise<Authority> {
  return Authority.make("/example/registry", { issuer: root, ...(toMs === undefined ? {} : { toMs }) });
}

test("a certificate is fetched once for many packets, one after another", async () => {
  const root = await Authority.make("/example");
  const server = await serverUnder(root);
  const network = new CertificateNetwork(server);
  const verifier = await verifierFor([root], network);
  const packet = await server.sign(packetName);
  for (let i = 0; i < 50; i++) await verifier.verify(packet, inTime());
  expect(network.asked).toHaveLength(1);
});

test("a certificate is fetched once for many packets at a time", async () => {
  const root = await Authority.make("/example");
  const server = await serverUnder(root);
  const network = new CertificateNetwork(server);
  const verifier = await verifierFor([root], network);
  const packet = await server.sign(packetName);
  await Promise.all(Array.from({ length: 50 }, () => verifier.verify(packet, inTime())));
  expect(network.asked).toHaveLength(1);
});

test("one that goes away does not take the certificate from the others; the last one ends the fetch", async () => {
  const root = await Authority.make("/example");
  const server = await serverUnder(root);
  const network = new CertificateNetwork(server);
  const gate = Promise.withResolvers<void>();
  const signals: AbortSignal[] = [];
  network.before = (_, signal) => {
    signals.push(signal);
    return gate.promise;
  };
  const verifier = await verifierFor([root], network);
  const packet = await server.sign(packetName);
  const [first, second, third] = [new AbortController(), new AbortController(), new AbortController()];
  const verdicts = [first, second].map(({ signal }) => verifier.verify(packet, signal));
  first.abort(new Error("gone"));
  await expect(verdicts[0]).rejects.toThrow("gone");
  expect(signals[0]!.aborted).toBe(false);
  gate.resolve();
  await verdicts[1];

  network.published.length = 0;
  network.before = (_, signal) => {
    signals.push(signal);
    return new Promise(() => {});
  };
  const lonely = (await verifierFor([root], network)).verify(packet, third.signal);
  third.abort(new Error("gone too"));
  await expect(lonely).rejects.toThrow("gone too");
  expect(signals[1]!.aborted).toBe(true);
});

test("going away is no refusal: the next one asks again", async () => {
  const root = await Authority.make("/example");
  const server = await serverUnder(root);
  const network = new CertificateNetwork(server);
  network.before = () => new Promise(() => {});
  const verifier = await verifierFor([root], network);
  const packet = await server.sign(packetName);
  const impatient = new AbortController();
  const verdict = verifier.verify(packet, impatient.signal);
  impatient.abort(new Error("gone"));
  await expect(verdict).rejects.toThrow("gone");
  network.before = () => Promise.resolve();
  expect(await ruleBrokenBy(verifier, packet)).toBeUndefined();
});

test("a refusal lasts ten seconds", async () => {
  const root = await Authority.make("/example");
  const server = await serverUnder(root);
  const network = new CertificateNetwork();
  let now = nowMs;
  const verifier = await verifierFor([root], network, () => now);
  const packet = await server.sign(packetName);
  for (const later of [0, 5_000, 9_999]) {
    now = nowMs + later;
    expect(await ruleBrokenBy(verifier, packet)).toBe("unavailable");
  }
  expect(network.asked).toHaveLength(1);
  network.published.push(server);
  now = nowMs + 10_000;
  expect(await ruleBrokenBy(verifier, packet)).toBeUndefined();
});

test("a clock that is set back ends a refusal too", async () => {
  const root = await Authority.make("/example");
  const server = await serverUnder(root);
  const network = new CertificateNetwork();
  let now = nowMs;
  const verifier = await verifierFor([root], network, () => now);
  const packet = await server.sign(packetName);
  expect(await ruleBrokenBy(verifier, packet)).toBe("unavailable");
  network.published.push(server);
  now -= 3_600_000;
  expect(await ruleBrokenBy(verifier, packet)).toBeUndefined();
});

test("a forged packet that names a bad issuer leaves the good ones as they are", async () => {
  const root = await Authority.make("/example");
  const server = await serverUnder(root);
  const impostor = await Authority.make("/example/registry", {
    issuer: await Authority.make("/x"),
    locator: server.name,
  });
  const network = new CertificateNetwork(server, impostor);
  const verifier = await verifierFor([root], network);
  expect(await ruleBrokenBy(verifier, await impostor.sign(packetName))).toBe("signature");
  expect(await ruleBrokenBy(verifier, await server.sign(packetName))).toBeUndefined();
});

test("what was trusted is no longer when its certificate, or one above it, has ended", async () => {
  for (const ends of ["server", "root"] as const) {
    const root = await Authority.make("/example", { toMs: nowMs + (ends === "root" ? 60_000 : 1e9) });
    const server = await serverUnder(root, nowMs + (ends === "server" ? 60_000 : 1e9));
    let now = nowMs;
    const verifier = await verifierFor([root], new CertificateNetwork(server), () => now);
    const packet = await server.sign(packetName);
    expect(await ruleBrokenBy(verifier, packet)).toBeUndefined();
    now += 61_000;
    expect(await ruleBrokenBy(verifier, packet)).toBe("validity");
  }
});

test("a flood of names of certificates is bounded, and does not stop the certificate that counts", async () => {
  const root = await Authority.make("/example");
  const server = await serverUnder(root);
  const network = new CertificateNetwork(server);
  const gate = Promise.withResolvers<void>();
  network.before = () => gate.promise;
  const verifier = await verifierFor([root], network);
  const flood = await Promise.all(
    Array.from({ length: 200 }, (_, i) => root.sign(packetName, `/example/KEY/random-${i}/issuer/version`)),
  );
  const rules = flood.map((packet) => ruleBrokenBy(verifier, packet));
  const packet = await server.sign(packetName);
  expect(await ruleBrokenBy(verifier, packet)).toBe("busy");
  expect(network.asked).toHaveLength(64);
  gate.resolve();
  expect(new Set(await Promise.all(rules))).toEqual(new Set(["busy", "unavailable"]));
  expect(await ruleBrokenBy(verifier, packet)).toBeUndefined();
});
