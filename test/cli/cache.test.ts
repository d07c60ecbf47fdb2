import { mkdir, readdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fastify from "fastify";
import pino from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { addAdminRoutes } from "#client/http/admin-routes.ts";
import { type ListenAddress, listenOn } from "#client/listener/listen.ts";
import { type Digest, hexOf, parseSha256 } from "#oci/reference.ts";
import { BlobStore } from "#store/blob-store.ts";
import { digestOf, randomBytesOf } from "#test/support/random-bytes.ts";
import { makeTemporaryFolder, type TemporaryFolder } from "#test/support/tmp.ts";
import { runExecutable } from "./executable.ts";

let folder: TemporaryFolder;
let directory: string;
/** From the least to the most recently used one. */
let digests: Digest[];
beforeEach(async () => {
  folder = await makeTemporaryFolder();
  directory = join(folder.path, "runtime/cache");
  const store = await openStore();
  digests = [];
  for (const sizeBytes of [10, 2_000, 3_000_000]) {
    const bytes = randomBytesOf(`cache ${sizeBytes}`, sizeBytes);
    digests.push(parseSha256(digestOf(bytes))!);
    await store.put(digests.at(-1)!, bytes);
  }
  await store.close();
  // Apart by more than a clock can blur.
  for (const [day, digest] of digests.entries()) {
    await utimes(join(directory, "blobs/sha256", hexOf(digest)), 0, 86_400 * (day + 1));
  }
});
afterEach(() => folder[Symbol.asyncDispose]());

function openStore(): Promise<BlobStore> {
  return BlobStore.open({ directory, maxBytes: 10_000_000, log: pino({ level: "silent" }) });
}

function cache(...args: string[]) {
  return runExecutable(["cache", ...args], { cwd: folder.path });
}

/** A client that is running, as far as its cache is concerned; disposed of it leaves what a killed one would. */
async function runningClient(address: ListenAddress = { host: "127.0.0.1", port: 0 }) {
  const store = await openStore();
  const app = fastify();
  const log = pino({ level: "silent" });
  addAdminRoutes(app, store, log);
  await app.ready();
  const listening = await listenOn(app.server, [address], { admits: () => true, isTls: false, log });
  await writeFile(join(directory, "admin.json"), JSON.stringify({ url: listening.urls[0] }));
  const close = async () => {
    app.server.closeAllConnections();
    await listening.close();
    await app.close();
    await store.close();
  };
  return { store, app, [Symbol.asyncDispose]: close };
}

const nobody = { [Symbol.asyncDispose]: async () => {} };
const ways = [
  ["while no client is running", async () => nobody],
  ["through the client that is running", () => runningClient()],
  ["through one that listens on a socket file", () => runningClient({ path: join(folder.path, "client.sock") })],
] as const;

describe.each(ways)("%s", (_way, start) => {
  test("ls lists what is cached, last used first, with a line of totals", async () => {
    await using _client = await start();
    const { stdout, stderr, status } = await cache("ls");
    expect([status, stderr]).toEqual([0, ""]);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.slice(0, 3).map((line) => line.split(/\s/, 1)[0])).toEqual(digests.toReversed());
    expect(lines[0]).toMatch(/ {2}2\.9 MiB {2}1970-01-04T00:00:00\.000Z$/);
    expect(lines[3]).toMatch(/^3 blobs, 2\.9 MiB/);
  });

  test("ls --format json is for programs", async () => {
    await using _client = await start();
    const listing = JSON.parse((await cache("ls", "--format", "json")).stdout);
    expect(listing.usedBytes).toBe(3_002_010);
    expect(listing.blobs.map(({ sizeBytes }: { sizeBytes: number }) => sizeBytes)).toEqual([3_000_000, 2_000, 10]);
  });

  test("rm forgets what is cached, and names what is not", async () => {
    await using _client = await start();
    const unknown = `sha256:${"0".repeat(64)}`;
    const { status, stdout, stderr } = await cache("rm", unknown, digests[0]!, digests[0]!);
    expect([status, stdout]).toEqual([1, `${digests[0]} is removed\n`]);
    expect(stderr).toBe(`ndn-registry: not in the cache: ${unknown}\n`);
    expect(await readdir(join(directory, "blobs/sha256"))).toHaveLength(2);
  });

  test("verify removes what is wrong, and says so with its status", async () => {
    await writeFile(join(directory, "blobs/sha256", hexOf(digests[1]!)), Buffer.alloc(2_000));
    await using _client = await start();
    const { status, stdout, stderr } = await cache("verify");
    expect(stdout).toBe(`${digests[1]} was wrong and is removed\n3 blobs checked, 1 wrong\n`);
    expect(stderr).toMatch(/ndn-registry: 1 blob did not have the bytes of its digest\n$/);
    expect(status).toBe(1);
    expect(await cache("verify")).toEqual({ status: 0, stdout: "2 blobs checked, 0 wrong\n", stderr: "" });
  });

  test("prune forgets the least recently used", async () => {
    await using _client = await start();
    expect((await cache("prune", "--to", "4MB")).stdout).toBe("0 blobs removed, 0 B freed\n");
    expect((await cache("prune", "--to", "3MB")).stdout).toBe("2 blobs removed, 2.0 KiB freed\n");
    expect((await cache("prune", "--to", "0")).stdout).toBe("1 blob removed, 2.9 MiB freed\n");
    expect((await cache("ls")).stdout).toMatch(/^0 blobs, 0 B/);
  });
});

test("what a killed client left behind does not keep anyone out", async () => {
  await writeFile(join(directory, "admin.json"), JSON.stringify({ url: "http://127.0.0.1:1" }));
  expect((await cache("ls")).status).toBe(0);
});

describe("exit status 1 and one line", () => {
  async function expectFailure(message: RegExp, ...args: string[]): Promise<void> {
    const { status, stderr } = await cache(...args);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(status).toBe(1);
  }

  test("for a directory that is not a cache, in which nothing is made", async () => {
    await mkdir(join(folder.path, "other"));
    await expectFailure(/there is no cache in .*other; .*--cache-dir/, "ls", "--cache-dir", "other");
    await expectFailure(/there is no cache in .*nowhere/, "prune", "--to", "0", "--cache-dir", "nowhere");
    expect((await readdir(folder.path)).toSorted()).toEqual(["other", "runtime"]);
  });

  test("for a client that does not say how it is asked, or not on this machine", async () => {
    const store = await openStore();
    try {
      await expectFailure(/in use by another running process/, "ls");
      await writeFile(join(directory, "admin.json"), JSON.stringify({ url: "http://192.0.2.1:80" }));
      await expectFailure(/in use by another running process/, "ls");
      await writeFile(join(directory, "admin.json"), JSON.stringify({ url: "http://127.0.0.1:1" }));
      await expectFailure(/does not answer on http:\/\/127\.0\.0\.1:1/, "ls");
    } finally {
      await store.close();
    }
  });

  test("for a client that is stopped in the middle of a verification", async () => {
    await using client = await runningClient();
    client.store.verify = () => {
      setImmediate(() => client.app.server.closeAllConnections());
      return Promise.withResolvers<never>().promise;
    };
    await expectFailure(/broke the verification off/, "verify");
  });
});

test.each([
  [["rm"], /image IMAGE is required/],
  [["add"], /image IMAGE is required/],
  [["prune"], /--to SIZE is required/],
  [[], /a command is needed: ls, add, rm, pin, unpin, verify or prune/],
])("cache %j ends with status 2", async (args, message) => {
  const { status, stderr } = await cache(...args);
  expect(stderr).toMatch(message);
  expect([status, stderr.trimEnd().split("\n").length]).toEqual([2, 1]);
});
