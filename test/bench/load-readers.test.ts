import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { expect, test } from "vitest";
import { layBlobs } from "#bench/load/blobs.ts";
import { readAllSlowly } from "#bench/load/read-slowly.ts";
import { listening } from "#test/support/listening.ts";
import { useStage } from "#test/support/stage.ts";

const stage = useStage();

test("readers that get all, a part in time, other bytes and nothing are told apart", async () => {
  const blobs = await layBlobs(await stage.newFolder("readers"), 4, 100_000);
  const [whole, silent, wrong, refused] = blobs;
  const bytes = await readFile(whole!.file);
  const start = (await readFile(silent!.file)).subarray(0, 30_000);
  const server = createServer(({ url }, response) => {
    const asks = (blob = whole) => url!.endsWith(blob!.digest);
    if (asks(refused)) return response.writeHead(503).end();
    if (asks(silent)) return response.writeHead(200, { "Content-Length": 100_000 }).write(start);
    return response.end(asks(whole) || asks(wrong) ? bytes : "");
  });
  const { port, close } = await listening(server, () => server.closeAllConnections());
  const reads = await readAllSlowly(`http://127.0.0.1:${port}`, blobs, { bytesPerSecond: 1e9, seconds: 2 });
  await close();
  expect(reads).toEqual({
    bytes: [100_000, 30_000, 0, 0],
    failures: ["slow reader 2: wrong bytes among the first 100000", expect.stringMatching(/^slow reader 3: .*: 503$/)],
  });
});

test("a reader takes as long as its pace says", async () => {
  const [blob] = await layBlobs(await stage.newFolder("pace"), 1, 1_000_000);
  const bytes = await readFile(blob!.file);
  const server = createServer((_, response) => response.end(bytes));
  const { port, close } = await listening(server, () => server.closeAllConnections());
  const startedAtMs = performance.now();
  const reads = await readAllSlowly(`http://127.0.0.1:${port}`, [blob!], { bytesPerSecond: 2_000_000, seconds: 60 });
  await close();
  expect(reads).toEqual({ bytes: [1_000_000], failures: [] });
  expect(performance.now() - startedAtMs).toBeGreaterThan(480);
});
