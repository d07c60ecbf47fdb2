import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DirectClient } from "#oci/direct-client.ts";
import type { BodySink } from "#oci/direct-get.ts";
import { RegistryUnreachable } from "#oci/errors.ts";
import { randomBytesOf } from "../support/random-bytes.ts";
import { readBody } from "../support/read-body.ts";

let server: Server;
let url: URL;
/** What the registry does with a connection once it has read the request. */
let answer: (socket: Socket, request: string) => unknown;

beforeEach(async () => {
  server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (request) => answer(socket, request.toString()));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v2/a/blobs/x?y=z`);
});
afterEach(() => new Promise((resolve) => server.close(resolve)));

const client = new DirectClient();
const ask = (signal = new AbortController().signal) => client.get(url, { range: "bytes=0-9" }, 5_000, signal);
const blob = randomBytesOf("direct", 1_000_000);
const head = (length: number) =>
  `HTTP/1.1 206 Partial Content\r\nContent-Length: ${length}\r\nX-A: 1\r\nx-a: 2\r\n\r\n`;

/** Pauses after every piece. */
class Taken implements BodySink {
  readonly #space: Buffer;
  readonly #pieces: Buffer[] = [];

  constructor(spaceBytes: number) {
    this.#space = Buffer.alloc(spaceBytes);
  }

  space() {
    return this.#space;
  }

  async filled(bytes: number) {
    this.#pieces.push(Buffer.from(this.#space.subarray(0, bytes)));
    await setImmediate();
    return true;
  }

  get bytes() {
    return Buffer.concat(this.#pieces);
  }
}

test("the body arrives as it was sent, however it is cut and whatever space there is", async () => {
  let asked = "";
  answer = async (socket, request) => {
    asked = request;
    socket.setNoDelay(true);
    for (const piece of [head(blob.length).slice(0, 20), head(blob.length).slice(20), blob.subarray(0, 7)]) {
      await new Promise((resolve) => socket.write(piece, resolve));
    }
    socket.end(blob.subarray(7));
  };
  for (const spaceBytes of [100, 65_536, 300_000]) {
    const got = (await ask())!;
    expect(got.status).toBe(206);
    expect(got.headers).toEqual({ "content-length": "1000000", "x-a": "1, 2" });
    expect((await readBody(got.body, spaceBytes)).equals(blob)).toBe(true);
  }
  expect(asked).toMatch(/^GET \/v2\/a\/blobs\/x\?y=z HTTP\/1\.1\r\nhost: 127\.0\.0\.1:\d+\r\n/);
  expect(asked).toContain("range: bytes=0-9\r\n");
});

test("a sink that pauses gets nothing until it continues, and then all of it", async () => {
  answer = (socket) => socket.end(Buffer.concat([Buffer.from(head(blob.length)), blob]));
  const pieces: Buffer[] = [];
  const space = Buffer.alloc(10_000);
  let isPaused = false;
  const sink: BodySink = {
    space: () => space,
    filled(bytes) {
      expect(isPaused).toBe(false);
      pieces.push(Buffer.from(space.subarray(0, bytes)));
      if (pieces.length % 3 > 0) return true;
      isPaused = true;
      return setImmediate().then(() => {
        isPaused = false;
        return true;
      });
    },
  };
  await (await ask())!.body.pourInto(sink);
  expect(Buffer.concat(pieces).equals(blob)).toBe(true);
});

test("bodies that come at the same time to sinks that pause do not mix", async () => {
  const blobs = ["one", "two", "three"].map((seed) => randomBytesOf(seed, 300_000));
  let asked = 0;
  answer = (socket) => {
    const bytes = blobs[asked++]!;
    socket.end(Buffer.concat([Buffer.from(head(bytes.length)), bytes]));
  };
  const sinks = blobs.map(() => new Taken(7_000));
  await Promise.all(sinks.map(async (sink) => (await ask())!.body.pourInto(sink)));
  const arrived = sinks.map(({ bytes }) => bytes);
  for (const bytes of blobs) expect(arrived.some((one) => one.equals(bytes))).toBe(true);
});

test("a sink that has enough ends the connection", async () => {
  const gone = Promise.withResolvers<void>();
  answer = (socket) => {
    socket.on("close", () => gone.resolve());
    socket.write(head(blob.length));
    socket.write(blob.subarray(0, 100_000));
  };
  let calls = 0;
  const space = Buffer.alloc(1_000);
  await (await ask())!.body.pourInto({ space: () => space, filled: () => ++calls < 5 });
  expect(calls).toBe(5);
  await gone.promise;
});

test("a body that is shorter or longer than it says breaks off", async () => {
  answer = (socket) => socket.end(Buffer.concat([Buffer.from(head(100)), Buffer.alloc(99)]));
  await expect(readBody((await ask())!.body)).rejects.toThrow(RegistryUnreachable);
  answer = (socket) => socket.end(Buffer.concat([Buffer.from(head(100)), Buffer.alloc(101)]));
  await expect(readBody((await ask())!.body)).rejects.toThrow("more than Content-Length");
});

test("the signal ends a body that is being read", async () => {
  answer = (socket) => void socket.write(head(100));
  const abort = new AbortController();
  const got = (await ask(abort.signal))!;
  const reading = readBody(got.body);
  abort.abort(new Error("enough"));
  await expect(reading).rejects.toThrow("enough");
});

test("a refusal is an answer", async () => {
  answer = (socket) => socket.end("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n\r\n");
  const got = (await ask())!;
  expect([got.status, got.headers["retry-after"]]).toEqual([429, "7"]);
  got.body.cancel();
});

test.each([
  ["a login", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"],
  ["a redirect", "HTTP/1.1 307 Temporary Redirect\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"],
  ["a chunked body", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["a body of unknown length", "HTTP/1.1 200 OK\r\n\r\nabc"],
  ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc"],
  ["a folded header", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nA: b\r\n c\r\n\r\nabc"],
  ["another protocol", "SSH-2.0-OpenSSH\r\n\r\n"],
  ["endless headers", `HTTP/1.1 200 OK\r\n${"a: b\r\n".repeat(20_000)}`],
  ["nothing", ""],
])("%s is left to the library", async (_, text) => {
  answer = (socket) => void socket.end(text);
  expect(await ask()).toBeUndefined();
});
