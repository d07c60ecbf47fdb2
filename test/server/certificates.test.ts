import { join } from "node:path";
import { consume } from "@ndn/endpoint";
import { type Data, Interest, Name } from "@ndn/packet";
import { Encoder } from "@ndn/tlv";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ControlPlane } from "#ndn/control-plane.ts";
import { parseFaceUrl } from "#ndn/face/face-url.ts";
import { SocketUplink } from "#ndn/face/uplink.ts";
import { joinName, type Name as NameBytes, parseName } from "#ndn/packet/name.ts";
import { keyComponent } from "#ndn/trust/certificate.ts";
import { startRegistry, type TestRegistry } from "#test/support/registry.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { until } from "#test/support/until.ts";
import { makeIdentity, type TestIdentity } from "../publish/identity.ts";
import { prefix, serve } from "../publish/serving.ts";

const dayMs = 86_400_000;
let registry: TestRegistry;
beforeAll(async () => {
  registry = await startRegistry();
});
afterAll(() => registry.close());

/** Ask a server with this identity, over a face of its own, with NDNts. */
async function askedOf(identity: TestIdentity, interests: readonly Interest[]): Promise<Data[]> {
  await using folder = await makeTemporaryFolder();
  const url = parseFaceUrl(`unix://${join(folder.path, "face.sock")}`);
  await using _serving = await serve(registry, { identity, faces: [url] });
  const uplink = new SocketUplink(url);
  const control = new ControlPlane(uplink);
  uplink.open();
  try {
    const fw = await until("the face to be up", () => control.fw);
    const answers: Data[] = [];
    // One after another: the answer to one would satisfy the others, too.
    for (const interest of interests) answers.push(await consume(interest, { fw }));
    return answers;
  } finally {
    uplink.close();
  }
}

function nameOf(bytes: NameBytes): Name {
  return new Name(bytes);
}

test.each([
  ["the prefix", prefix],
  ["a part of the prefix", parseName("/test")],
])("the certificate of an identity that is %s is there under its name, its key's and A/KEY", async (_, speaksFor) => {
  const identity = await makeIdentity(speaksFor);
  const { name, keyName } = identity.parsed;
  const certificates = await askedOf(identity, [
    new Interest(nameOf(name)),
    new Interest(nameOf(keyName), Interest.CanBePrefix, Interest.MustBeFresh),
    new Interest(nameOf(joinName(speaksFor, keyComponent)), Interest.CanBePrefix, Interest.MustBeFresh),
  ]);
  for (const certificate of certificates) {
    expect(Buffer.from(Encoder.encode(certificate)).equals(identity.parsed.wire)).toBe(true);
  }
});

test("the server says which certificate pullers can take for their anchor", async () => {
  const identity = await makeIdentity(prefix);
  await using serving = await serve(registry, { identity });
  expect(serving.log).toContainEqual(
    expect.objectContaining({ level: 30, certificate: identity.certificateName, digest: identity.digest }),
  );
  expect(serving.log.some(({ level }) => level === 40)).toBe(false);
});

test("the server warns when its certificate ends within weeks", async () => {
  const identity = await makeIdentity(prefix);
  const validity = { ...identity.validity, notAfterMs: Date.now() + 20 * dayMs };
  await using serving = await serve(registry, { identity: { ...identity, validity } });
  expect(serving.log.filter(({ level }) => level === 40).map(({ msg }) => msg)).toEqual([
    expect.stringMatching(/expires in (19|20) days/),
  ]);
});
