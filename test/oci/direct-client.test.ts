/** Connections to a registry that is asked directly are used again, as long as nothing speaks against it. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DirectClient } from "#oci/direct-client.ts";
import { readBody } from "../support/read-body.ts";
import { until } from "../support/until.ts";

let server: Server;
let url: URL;
let client: DirectClient;
/** The registry's ends, in the order in which they were opened. */
let sockets: Socket[];
/** What the registry does with request `n` of a connection. */
let answer: (socket: Socket, n: number) => unknown;

beforeEach(async () => {
  sockets = [];
  client = new DirectClient();
  answer = (socket) => socket.write(plain);
  server = createServer((socket) => {
    sockets.push(socket);
    let requests = 0;
    socket.on("error", () => {});
    socket.on("data", () => void answer(socket, ++requests));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v2/a/blobs/x`);
});
afterEach(async () => {
  client.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

const plain = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const { signal } = new AbortController();
const ask = () => client.get(url, {}, 5_000, signal);
const read = async () => String(await readBody((await ask())!.body));
const open = () => sockets.filter(({ destroyed }) => !destroyed).length;

test("one request after another goes over one connection, requests at the same time over one each", async () => {
  for (let n = 0; n < 3; n++) expect(await read()).toBe("hello");
  expect(sockets.length).toBe(1);
  expect(await Promise.all([read(), read(), read()])).toEqual(Array(3).fill("hello"));
  expect(sockets.length).toBe(3);
});

test.each([
  ["closed", (socket: Socket) => socket.end()],
  ["reset", (socket: Socket) => socket.resetAndDestroy()],
])("a connection that the registry has %s when the next request comes is replaced", async (_, end) => {
  answer = (socket, n) => (n === 1 ? socket.write(plain) : end(socket));
  for (let n = 0; n < 3; n++) expect(await read()).toBe("hello");
  expect(sockets.length).toBe(3);
});

test("a registry that closes connections in the middle of an answer is not asked again for it", async () => {
  answer = (socket, n) => (n === 1 ? socket.write(plain) : socket.end("HTTP/1.1 200"));
  expect(await read()).toBe("hello");
  expect(await ask()).toBeUndefined();
  expect(sockets.length).toBe(1);
});

test.each([
  ["says that it closes it", plain.replace("\r\n", "\r\nConnection: close\r\n")],
  ["speaks HTTP/1.0", plain.replace("1.1", "1.0")],
  ["says more afterwards", plain],
])("a connection is not used again when the registry %s", async (what, text) => {
  answer = (socket) => socket.write(text);
  expect(await read()).toBe("hello");
  if (what === "says more afterwards") sockets[0]!.write("more");
  await until("the connection to be closed", () => open() === 0);
  expect(await read()).toBe("hello");
  expect(sockets.length).toBe(2);
});

test("a connection is not used again when its body has not been read, or the answer is a refusal", async () => {
  answer = (socket) => socket.write(plain.replace("5", "50"));
  (await ask())!.body.cancel();
  const space = Buffer.alloc(3);
  await (await ask())!.body.pourInto({ space: () => space, filled: () => false });
  answer = (socket) => socket.write("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
  (await ask())!.body.cancel();
  await until("the connections to be closed", () => open() === 0);
  expect(sockets.length).toBe(3);
});

test("the signal of one request does not end the next", async () => {
  const first = new AbortController();
  await readBody((await client.get(url, {}, 5_000, first.signal))!.body);
  const second = (await ask())!;
  first.abort();
  expect(String(await readBody(second.body))).toBe("hello");
  expect(sockets.length).toBe(1);
});

test("at most 16 connections wait for a request, and none when the client is closed", async () => {
  const answers = await Promise.all(Array.from({ length: 20 }, ask));
  await Promise.all(answers.map((one) => readBody(one!.body)));
  await until("four to be closed", () => open() === 16);
  client.close();
  await until("all to be closed", () => open() === 0);
});
