import { once } from "node:events";
import { createServer, get, type IncomingMessage, type Server } from "node:http";
import { connect, type Socket } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import { answerBrokenRequest } from "#client/listener/broken-request.ts";
import {
  connectionLimits,
  defaultMaxConnections,
  keepAliveTimeoutMs,
  type Listening,
  limitConnections,
  listenOn,
} from "#client/listener/listen.ts";
import { ask } from "../endpoint.ts";

const open: { server: Server; listening: Listening; sockets: Socket[] }[] = [];

afterEach(async () => {
  for (const { server, listening, sockets } of open.splice(0)) {
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    await listening.close();
    server.close();
  }
});

async function listening(overrides: object = {}, maxConnections = defaultMaxConnections) {
  const sockets: Socket[] = [];
  const server = createServer({ ...connectionLimits, ...overrides }, (_request, response) => {
    response.write("first half,");
    if (_request.url === "/slow") return;
    response.end(" second half");
  });
  server.keepAliveTimeout = keepAliveTimeoutMs;
  server.on("clientError", answerBrokenRequest);
  const [warn, onDropped] = [vi.fn(), vi.fn()];
  let nowMs = 0;
  const admits = limitConnections(maxConnections, { warn }, onDropped, () => nowMs);
  const addresses = [
    { host: "127.0.0.1", port: 0 },
    { host: "127.0.0.2", port: 0 },
  ];
  const listening = await listenOn(server, addresses, { admits, isTls: false, log: { error: vi.fn() } });
  open.push({ server, listening, sockets });
  const [url, other] = listening.urls.map((text) => new URL(text)) as [URL, URL];
  const dial = ({ port, hostname: host } = url) => {
    const socket = connect({ port: Number(port), host });
    socket.on("error", () => {});
    sockets.push(socket);
    return socket;
  };
  const later = (ms: number) => {
    nowMs += ms;
  };
  return { url, other, dial, warn, onDropped, later };
}

/** Everything that comes until the other side closes. */
async function readAll(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (bytes: Buffer) => {
    text += bytes.toString();
  });
  await once(socket, "close");
  return text;
}

async function connected(socket: Socket): Promise<Socket> {
  await once(socket, "connect");
  return socket;
}

test("1000 idle connections do not keep others from being served", async () => {
  const { url, dial, warn } = await listening();
  await Promise.all(Array.from({ length: 1000 }, () => connected(dial())));
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(url, "/")));
  expect(new Set(answers.map(({ body }) => body.toString()))).toEqual(new Set(["first half, second half"]));
  expect(open.at(-1)!.sockets.filter(({ readyState }) => readyState === "open")).toHaveLength(1000);
  expect(warn).not.toHaveBeenCalled();
});

test("connections beyond the limit are closed and counted, and a warning comes once a minute", async () => {
  const { url, other, dial, warn, onDropped, later } = await listening({}, 2);
  const [first] = await Promise.all([connected(dial()), connected(dial(other))]); // on all addresses together
  await Promise.all([once(dial(), "close"), once(dial(other), "close"), once(dial(), "close")]);
  expect(onDropped).toHaveBeenCalledTimes(3);
  expect(warn).toHaveBeenCalledExactlyOnceWith(
    { maxConnections: 2, dropped: 1 },
    "connections are turned away: raise --max-connections",
  );
  later(60_000);
  await once(dial(), "close");
  expect(warn).toHaveBeenLastCalledWith({ maxConnections: 2, dropped: 3 }, expect.any(String));
  const [socket] = open.at(-1)!.sockets;
  expect(socket).toBe(first);
  first.end("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  expect(await readAll(first)).toContain("first half,");
  expect((await ask(url, "/")).status).toBe(200);
});

test("headers of up to 32 KiB are taken; longer ones are answered with 431 in the registry's form", async () => {
  const { url } = await listening();
  expect((await ask(url, "/", { headers: { authorization: `Bearer ${"x".repeat(30_000)}` } })).status).toBe(200);
  const { status, headers, body } = await ask(url, "/", { headers: { authorization: "x".repeat(40_000) } });
  expect([status, headers["docker-distribution-api-version"]]).toEqual([431, "registry/2.0"]);
  expect(JSON.parse(body.toString())).toEqual({
    errors: [{ code: "UNSUPPORTED", message: "the request's headers are too long" }],
  });
});

test("what is not HTTP is answered with 400 in the registry's form", async () => {
  const { dial } = await listening();
  const socket = await connected(dial());
  socket.write("hello\r\n\r\n");
  const text = await readAll(socket);
  expect(text).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
  expect(JSON.parse(text.split("\r\n\r\n")[1]!)).toMatchObject({
    errors: [{ message: "this is not an HTTP request" }],
  });
});

test.each(["", "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])(
  "a connection that gets no further than %j is answered with 408 and closed",
  async (begun) => {
    const { dial } = await listening({ headersTimeout: 200, connectionsCheckingInterval: 50 });
    const socket = await connected(dial());
    socket.write(begun);
    expect(await readAll(socket)).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
  },
);

test("rubbish in the middle of an answer ends the connection and never becomes part of the answer", async () => {
  const { dial } = await listening();
  const socket = await connected(dial());
  socket.write("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
  await once(socket, "data");
  socket.write("rubbish\r\n\r\n");
  expect(await readAll(socket)).not.toContain("400");
});

test("an idle connection is kept longer than the 90 seconds for which Go keeps it", async () => {
  const { url } = await listening();
  const [answer] = (await once(
    get({ host: url.hostname, port: url.port, agent: false, headers: { connection: "keep-alive" } }),
    "response",
  )) as [IncomingMessage];
  answer.resume();
  expect(answer.headers["keep-alive"]).toBe("timeout=100");
});
