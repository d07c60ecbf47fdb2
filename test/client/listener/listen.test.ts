import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { createServer, type Server as HttpServer, type IncomingMessage, request } from "node:http";
import { connect, createServer as createListener } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { formatAddress, type ListenAddress, ListenFailed, type Listening, listenOn } from "#client/listener/listen.ts";
import { freePort } from "#test/support/free-port.ts";
import { makeTemporaryFolder, type TemporaryFolder } from "#test/support/tmp.ts";

let folder: TemporaryFolder;
let server: HttpServer;
let listening: Listening | undefined;
beforeEach(async () => {
  folder = await makeTemporaryFolder();
  server = createServer((_request, response) => response.end("here"));
});
afterEach(async () => {
  server.closeAllConnections();
  await listening?.close();
  listening = undefined;
  server.close();
  await folder[Symbol.asyncDispose]();
});

async function listen(...addresses: ListenAddress[]): Promise<Listening> {
  listening = await listenOn(server, addresses, { admits: () => true, isTls: false, log: { error: vi.fn() } });
  return listening;
}

async function get(url: string): Promise<string> {
  const asked = url.startsWith("unix://")
    ? request({ socketPath: url.slice("unix://".length), agent: false })
    : request(url, { agent: false });
  const [answer] = (await once(asked.end(), "response")) as [IncomingMessage];
  return text(answer);
}

const path = (name = "client.sock") => join(folder.path, name);

test("all addresses serve, each is listened on once, and none does after the end", async () => {
  const port = await freePort();
  const { urls } = await listen(
    { host: "127.0.0.1", port },
    { host: "127.0.0.2", port: 0 },
    { path: path() },
    { host: "127.0.0.1", port },
  );
  expect(urls).toEqual([
    `http://127.0.0.1:${port}`,
    expect.stringMatching(/^http:\/\/127\.0\.0\.2:\d+$/),
    `unix://${path()}`,
  ]);
  for (const url of urls) expect(await get(url)).toBe("here");
  await listening!.close();
  for (const url of urls) await expect(get(url)).rejects.toThrow(/ECONNREFUSED|ENOENT/);
});

test("no host is all addresses of the machine, and localhost is each of its own", async () => {
  const { urls } = await listen({ host: "", port: 0 }, { host: "localhost", port: 0 });
  const ports = urls.map((url) => Number(new URL(url).port));
  expect(urls[0]).toBe(`http://127.0.0.1:${ports[0]}`);
  for (const host of ["127.0.0.1", "127.0.0.9"]) expect(await get(`http://${host}:${ports[0]}`)).toBe("here");
  expect(await get(`http://localhost:${ports[1]}`)).toBe("here");
});

test("an IPv6 address is written in brackets", async () => {
  const { urls } = await listen({ host: "::1", port: 0 });
  expect(urls[0]).toMatch(/^http:\/\/\[::1\]:\d+$/);
  expect(await get(urls[0]!)).toBe("here");
  expect(formatAddress({ host: "::1", port: 5000 })).toBe("[::1]:5000");
});

describe("a socket file", () => {
  test("is for its owner and group, whatever the umask, and gone after the end", async () => {
    for (const umask of [0o000, 0o077]) {
      const before = process.umask(umask);
      try {
        await listen({ path: path() });
        expect(process.umask()).toBe(umask);
      } finally {
        process.umask(before);
      }
      expect((statSync(path()).mode & 0o777).toString(8)).toBe("660");
      await listening!.close();
      expect(existsSync(path())).toBe(false);
    }
  });

  test("that a crash has left over is replaced", async () => {
    const crashed = createListener().listen(path());
    await once(crashed, "listening");
    // As if it had been killed: the file stays, and no one listens.
    await rename(path(), path("kept"));
    crashed.close();
    await once(crashed, "close");
    await rename(path("kept"), path());
    await expect(get(`unix://${path()}`)).rejects.toThrow(/ECONNREFUSED/);
    const { urls } = await listen({ path: path() });
    expect(await get(urls[0]!)).toBe("here");
  });

  test.each([
    ["of a program that listens", async () => void (await listenElsewhere(path())), /EADDRINUSE/],
    ["that is an ordinary file", () => writeFile(path(), "precious"), /a file already, which is no socket/],
    ["in a directory that is not there", async () => {}, /is no directory/, "none/client.sock"],
    ["with a path that is too long", async () => {}, /longer than 107 bytes/, `${"x".repeat(120)}.sock`],
  ])("%s is left alone, with the reason", async (_what, prepare, reason, name = "client.sock") => {
    await prepare();
    const failure = await listen({ host: "127.0.0.1", port: 0 }, { path: path(name) }).catch((err: unknown) => err);
    expect(failure).toBeInstanceOf(ListenFailed);
    expect(((failure as ListenFailed).cause as Error).message).toMatch(reason);
    expect(formatAddress((failure as ListenFailed).address)).toBe(`unix://${path(name)}`);
    if (name === "client.sock") expect(existsSync(path())).toBe(true);
  });
});

test("when one address cannot be listened on none is", async () => {
  const [free, taken] = [await freePort(), await freePort()];
  const other = createListener().listen(taken, "127.0.0.1");
  await once(other, "listening");
  try {
    const addresses = [{ host: "127.0.0.1", port: free }, { path: path() }, { host: "127.0.0.1", port: taken }];
    await expect(listen(...addresses)).rejects.toThrow(`cannot listen on 127.0.0.1:${taken}`);
    await expect(once(connect(free, "127.0.0.1"), "connect")).rejects.toThrow(/ECONNREFUSED/);
    expect(existsSync(path())).toBe(false);
  } finally {
    other.close();
  }
});

/** A program of others; ends with the test's process if not before. */
async function listenElsewhere(socket: string) {
  const other = createListener().listen(socket).unref();
  await once(other, "listening");
  return other;
}
