import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FaceListener } from "#ndn/face/face-listener.ts";
import { type FchUrl, parseUplinkUrl } from "#ndn/face/face-url.ts";
import { FchUplink, resolveFch, uplinkTo } from "#ndn/face/fch-uplink.ts";
import { SocketUplink } from "#ndn/face/uplink.ts";
import { encodeInterest } from "#ndn/packet/interest.ts";
import { parseName } from "#ndn/packet/name.ts";
import { until } from "#test/support/until.ts";

const never = new AbortController().signal;
let asked: URL[];
let answer: (url: URL) => { status?: number; type?: string; body: string } | undefined;
let service: ReturnType<typeof createServer>;
let fch: FchUrl;

/** A service that names what the test says; undefined is silence. */
beforeEach(async () => {
  asked = [];
  service = createServer((request, response) => {
    const url = new URL(request.url!, "http://fch.invalid");
    asked.push(url);
    const said = answer(url);
    if (said) response.writeHead(said.status ?? 200, { "Content-Type": said.type ?? "text/plain" }).end(said.body);
  });
  await once(service.listen(0, "127.0.0.1"), "listening");
  fch = parseUplinkUrl(`fch:http://127.0.0.1:${(service.address() as AddressInfo).port}`) as FchUrl;
});

afterEach(async () => {
  service.closeAllConnections();
  await new Promise((resolve) => service.close(resolve));
});

function naming(...routers: { transport: string; connect: string }[]): () => { type: string; body: string } {
  return () => ({ type: "application/json", body: JSON.stringify({ updated: Date.now(), routers }) });
}

test("streams come before datagrams, and what is no address of either is passed over", async () => {
  answer = naming(
    { transport: "udp", connect: "near.example:6363" },
    { transport: "wss", connect: "wss://near.example/ws/" },
    { transport: "tcp", connect: "far.example:16363" },
    { transport: "tcp", connect: "" },
    { transport: "udp", connect: "[2001:db8::1]:6363" },
  );
  const routers = await resolveFch(fch, never);
  expect(routers.map(({ text }) => text)).toEqual([
    "tcp://far.example:16363",
    "udp://near.example:6363",
    "udp://[2001:db8::1]:6363",
  ]);
  expect(asked[0]!.searchParams.getAll("cap")).toEqual(["tcp", "udp"]);
  expect(asked[0]!.searchParams.getAll("k")).toEqual(["4", "4"]);
});

test("an older service, which knows one transport at a time and answers with a list, will do", async () => {
  answer = (url) => {
    if (url.searchParams.getAll("cap").length > 1) return { status: 400, body: "" };
    return { body: url.searchParams.get("cap") === "udp" ? "one.example,two.example" : "" };
  };
  expect((await resolveFch(fch, never)).map(({ text }) => text)).toEqual(["udp://one.example", "udp://two.example"]);
});

test("no more routers are taken than were asked for", async () => {
  answer = naming(...Array.from({ length: 50 }, (_, n) => ({ transport: "udp", connect: `r${n}.example` })));
  expect(await resolveFch(fch, never)).toHaveLength(4);
});

test.each([
  ["an error", () => ({ status: 500, body: "no" })],
  ["nothing", () => ({ type: "application/json", body: '{"routers":[]}' })],
  ["no JSON", () => ({ type: "application/json", body: "{" })],
  ["a login page", () => ({ type: "text/html", body: "<html>Welcome, please log in, <b>guest</b></html>" })],
  ["a port that is none", naming({ transport: "tcp", connect: "router.example:99999" })],
])("a service that answers with %s names no router", async (_, says) => {
  answer = says;
  await expect(resolveFch(fch, never)).rejects.toThrow("names no router");
});

test("the question ends with its signal", async () => {
  answer = () => undefined;
  const asker = new AbortController();
  const asking = resolveFch(fch, asker.signal);
  await until("the question", () => asked.length > 0);
  asker.abort(new Error("enough"));
  await expect(asking).rejects.toThrow("enough");
});

/** A router; what has come to it. */
async function startRouter() {
  const seen: number[] = [];
  const listener = await FaceListener.listen(parseListen(0), [{ accept: (view) => seen.push(view.type) > 0 }]);
  const named = { transport: "tcp", connect: `127.0.0.1:${listener.port}` };
  return { seen, listener, named, [Symbol.asyncDispose]: () => listener.close() };
}

function parseListen(port: number) {
  const url = parseUplinkUrl(`tcp://127.0.0.1:${port}`);
  if (url.scheme === "fch") throw new Error("not a face URL");
  return url;
}

function watched(uplink: FchUplink): string[] {
  const events: string[] = [];
  uplink.addListener({
    onUp: (face) => events.push(`up ${face.describe}`),
    onDown: (reason) => events.push(`down ${reason?.message ?? "closed"}`),
    onConnectFailed: (_, retryMs) => events.push(`failed, again in ${retryMs}`),
  });
  return events;
}

test("the uplink goes to the first router that can be reached, and takes packets from it", async () => {
  await using router = await startRouter();
  const gone = await startRouter();
  await gone.listener.close();
  answer = naming(gone.named, router.named);
  const uplink = new FchUplink(fch);
  const events = watched(uplink);
  uplink.open();
  await until("the uplink to be up", () => uplink.face !== undefined);
  expect(events).toEqual([`up tcp://${router.named.connect}`]);
  uplink.face!.send(encodeInterest(parseName("/A")));
  await until("the Interest", () => router.seen.length === 1);
  uplink.close();
  await until("the end", () => uplink.face === undefined);
  expect(events.at(-1)).toBe("down closed");
  expect(asked).toHaveLength(1);
});

test("a router of no use is left for the next one, and after the last one the service is asked again", async () => {
  await using one = await startRouter();
  await using two = await startRouter();
  answer = naming(one.named, two.named);
  const uplink = new FchUplink(fch, { firstRetryMs: 10 });
  const events = watched(uplink);
  uplink.open();
  for (const { named } of [one, two, one]) {
    await until("the router to be used", () => uplink.face?.describe === `tcp://${named.connect}`);
    uplink.leaveRouter(new Error("no one answers"));
  }
  await until("both to be used", () => uplink.face?.describe === `tcp://${two.named.connect}`);
  await until("the router that was left to be free", () => one.listener.faceCount === 0);
  expect(uplink.face?.describe).toBe(`tcp://${two.named.connect}`);
  expect(asked).toHaveLength(2);
  expect(events.filter((event) => event === "down no one answers")).toHaveLength(3);
  uplink.close();
  await until("the end", () => uplink.face === undefined);
});

/** A router that takes connections and closes them at once; how many it has taken. */
async function startClosingRouter() {
  const taken: Socket[] = [];
  const listener = createTcpServer((socket) => {
    taken.push(socket);
    socket.destroy();
  });
  await once(listener.listen(0, "127.0.0.1"), "listening");
  const named = { transport: "tcp", connect: `127.0.0.1:${(listener.address() as AddressInfo).port}` };
  const close = async () => {
    listener.close();
    await once(listener, "close");
  };
  return { taken, named, [Symbol.asyncDispose]: close };
}

test("a router that closes each face at once is left after three of them", async () => {
  await using bad = await startClosingRouter();
  await using good = await startRouter();
  answer = naming(bad.named, good.named);
  const uplink = new FchUplink(fch);
  const events = watched(uplink);
  uplink.open();
  await until("the next router to be used", () => uplink.face?.describe === `tcp://${good.named.connect}`);
  expect(bad.taken).toHaveLength(3);
  expect(events.filter((event) => event.startsWith("down"))).toHaveLength(3);
  expect(asked).toHaveLength(1);
  uplink.close();
  await until("the end", () => uplink.face === undefined);
});

test("faces that lasted are no reason to leave their router", async () => {
  await using router = await startClosingRouter();
  answer = naming(router.named);
  const uplink = new FchUplink(fch, { stableMs: 0 });
  uplink.open();
  await until("five faces", () => router.taken.length >= 5);
  expect(asked).toHaveLength(1);
  uplink.close();
});

test("when all routers close their faces at once, the pauses before the service is asked grow", async () => {
  await using router = await startClosingRouter();
  answer = naming(router.named);
  const uplink = new FchUplink(fch, { firstRetryMs: 10 });
  const events = watched(uplink);
  uplink.open();
  const failures = () => events.filter((event) => event.startsWith("failed"));
  await until("two rounds", () => failures().length >= 2);
  uplink.close();
  expect(failures().slice(0, 2)).toEqual(["failed, again in 10", "failed, again in 20"]);
});

test("a service that cannot help is asked again after growing pauses, until the uplink is closed", async () => {
  answer = () => ({ status: 500, body: "" });
  const uplink = new FchUplink(fch, { firstRetryMs: 10, lastRetryMs: 40 });
  const events = watched(uplink);
  uplink.open();
  await until("four attempts", () => events.length >= 4);
  uplink.close();
  expect(events.slice(0, 4)).toEqual([10, 20, 40, 40].map((ms) => `failed, again in ${ms}`));
  uplink.open();
  expect(uplink.face).toBeUndefined();
});

test.each([
  ["fch:", "https://fch.ndn.today/"],
  ["fch:https://fch.example/find", "https://fch.example/find"],
  ["fch:http://127.0.0.1:8080", "http://127.0.0.1:8080/"],
])("%s is a service", (text, url) => {
  expect(parseUplinkUrl(text)).toEqual({ scheme: "fch", service: url, text, isLocal: false });
});

test.each(["fch:nearby", "fch:ftp://host", "fch:https://user:secret@host", "fch:https://host/#x", "fch://"])(
  "%s is none, and the error does not repeat it",
  (text) => {
    const parse = () => parseUplinkUrl(text);
    expect(parse).toThrow(/fch: for the public one/);
    expect(parse).not.toThrow(/secret/);
  },
);

test("every other uplink is a face of its own", () => {
  expect(uplinkTo(parseUplinkUrl("tcp://127.0.0.1:1"))).toBeInstanceOf(SocketUplink);
  expect(uplinkTo(parseUplinkUrl("fch:"))).toBeInstanceOf(FchUplink);
  expect(() => parseUplinkUrl("nfd")).toThrow(/unix:/);
});
