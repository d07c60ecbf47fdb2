import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { digestSigning } from "@ndn/packet";
import { expect, test } from "vitest";
import { ControlPlane } from "#ndn/control-plane.ts";
import { type FaceUrl, parseFaceUrl } from "#ndn/face/face-url.ts";
import { SocketUplink } from "#ndn/face/uplink.ts";
import { parseName } from "#ndn/packet/name.ts";
import { TT, tlv } from "#ndn/packet/tlv.ts";
import { PrefixRegistration } from "#ndn/registration.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { until } from "#test/support/until.ts";
import { startFakeForwarder } from "./fake-forwarder.ts";

/** Keep a prefix registered on the forwarder at this URL. */
function register(url: FaceUrl) {
  const events: string[] = [];
  const uplink = new SocketUplink(url);
  const control = new ControlPlane(uplink);
  const registration = new PrefixRegistration(uplink, control, parseName("/our/prefix"), digestSigning, {
    onRegistered: (where) => events.push(`registered on ${where}`),
    onRefused: (_, reason, advice) => events.push(`refused: ${reason.message}; ${advice}`),
  });
  uplink.open();
  const close = async () => {
    await registration.close();
    uplink.close();
  };
  return { events, registration, uplink, [Symbol.asyncDispose]: close };
}

async function unixForwarder() {
  const folder = await makeTemporaryFolder();
  const path = join(folder.path, "nfd.sock");
  const forwarder = await startFakeForwarder(path);
  const close = async () => {
    await forwarder[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  };
  return { forwarder, url: parseFaceUrl(`unix://${path}`), [Symbol.asyncDispose]: close };
}

test("the prefix is registered on connect, with the origin that routing daemons announce", async () => {
  await using place = await unixForwarder();
  await using ours = register(place.url);
  await until("the prefix to be registered", () => ours.registration.registered);
  const [{ under, verb, parameters }] = place.forwarder.commands as [(typeof place.forwarder.commands)[0]];
  expect([under, verb, parameters.name?.toString()]).toEqual(["/8=localhost/8=nfd", "register", "/8=our/8=prefix"]);
  expect(parameters.origin).toBe(65);
  expect(ours.events).toEqual([`registered on ${place.url.text}`]);
});

test("malformed answers and Nacks are dropped, and the question runs out of time", { timeout: 30_000 }, async () => {
  await using folder = await makeTemporaryFolder();
  const path = join(folder.path, "nfd.sock");
  const server = createServer((socket) => {
    socket.once("data", (interest) => {
      const nack = tlv(TT.LpPacket, tlv(TT.Nack, tlv(0x0321, Buffer.of(150))), tlv(TT.LpFragment, interest as Buffer));
      const malformed = tlv(TT.Data, tlv(TT.Name, parseName("/localhost/nfd")), Buffer.from("15ff", "hex"));
      socket.write(Buffer.concat([nack, malformed]));
    });
  }).listen(path);
  await once(server, "listening");
  await using ours = register(parseFaceUrl(`unix://${path}`));
  await until("the answer to be missed", () => ours.events.length > 0, 20_000);
  expect(ours.events[0]).toMatch(/^refused: no answer within 4 s;/);
  expect(ours.uplink.face).toBeDefined();
  server.close();
});

test("it is registered again after each reconnect", async () => {
  await using place = await unixForwarder();
  await using ours = register(place.url);
  await until("the prefix to be registered", () => ours.registration.registered);
  place.forwarder.breakConnections();
  await until("the registration to be gone", () => !ours.registration.registered);
  await until("the prefix to be registered again", () => ours.registration.registered);
  expect(place.forwarder.commands.map(({ verb }) => verb)).toEqual(["register", "register"]);
});

test("it is withdrawn on close", async () => {
  await using place = await unixForwarder();
  const ours = register(place.url);
  await until("the prefix to be registered", () => ours.registration.registered);
  await ours[Symbol.asyncDispose]();
  const last = place.forwarder.commands.at(-1)!;
  expect([last.verb, last.parameters.name?.toString(), last.parameters.origin]).toEqual([
    "unregister",
    "/8=our/8=prefix",
    65,
  ]);
});

test("a refusal is told with the command that an operator would type, and tried again", async () => {
  await using place = await unixForwarder();
  place.forwarder.answerWith(403);
  await using ours = register(place.url);
  await until("a refusal", () => ours.events.length > 0);
  expect(ours.events[0]).toMatch(/^refused: 403 refused; .*route add.*\/our\/prefix/);
  expect(ours.registration.registered).toBe(false);
  place.forwarder.answerWith(200);
  await until("the prefix to be registered", () => ours.registration.registered);
  expect(ours.events.at(-1)).toBe(`registered on ${place.url.text}`);
});

test("closing does not wait long for a silent forwarder", async () => {
  await using place = await unixForwarder();
  const ours = register(place.url);
  await until("the prefix to be registered", () => ours.registration.registered);
  place.forwarder.answerWith(undefined);
  const began = performance.now();
  await ours[Symbol.asyncDispose]();
  expect(performance.now() - began).toBeLessThan(2_500);
});

test("it goes to /localhost/nfd over loopback and to /localhop/nfd elsewhere", async () => {
  await using forwarder = await startFakeForwarder(0);
  const near = parseFaceUrl(`tcp://127.0.0.1:${forwarder.port}`);
  for (const [url, under] of [
    [near, "/8=localhost/8=nfd"],
    [{ ...near, isLocal: false } as FaceUrl, "/8=localhop/8=nfd"],
  ] as const) {
    await using ours = register(url);
    await until("the prefix to be registered", () => ours.registration.registered);
    expect(forwarder.commands.at(-1)!.under).toBe(under);
  }
});
