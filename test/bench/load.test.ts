import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { describe, expect, test } from "vitest";
import { bytesAt, hashOfStart, layBlobs, removeBlobs } from "#bench/load/blobs.ts";
import { getAll } from "#bench/load/get.ts";
import { tablesByRows } from "#bench/report.ts";
import type { Figure } from "#bench/scenario.ts";
import { listening } from "#test/support/listening.ts";
import { missingPrograms } from "#test/support/programs.ts";
import { useStage } from "#test/support/stage.ts";

const stage = useStage();
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

describe.each(["solid", "thin"] as const)("a %s blob", (texture) => {
  test("has its size and is what its digest says, and no two are the same", async () => {
    const blobs = await layBlobs(await stage.newFolder(texture), 2, 1_300_001, texture);
    expect(new Set(blobs.map(({ digest }) => digest)).size).toBe(2);
    for (const { file, digest } of blobs) {
      const bytes = await readFile(file);
      expect([bytes.length, `sha256:${sha256(bytes)}`]).toEqual([1_300_001, digest]);
    }
  });

  test("can be compared in parts", async () => {
    const [blob] = await layBlobs(await stage.newFolder(texture), 1, 200_000, texture);
    const bytes = await readFile(blob!.file);
    expect(await hashOfStart(blob!, 70_000)).toBe(sha256(bytes.subarray(0, 70_000)));
    expect(await hashOfStart(blob!, 0)).toBe(sha256(Buffer.alloc(0)));
    expect(await bytesAt(blob!, 65_000, 75_000)).toEqual(bytes.subarray(65_000, 75_000));
    await removeBlobs([blob!]);
    await expect(readFile(blob!.file)).rejects.toThrow("ENOENT");
  });
});

test.skipIf(missingPrograms(["curl"]).length > 0)(
  "of many GETs those that fail, break off or bring wrong bytes are counted, and the others go on",
  async () => {
    const folder = await stage.newFolder("gets");
    const [right, wrong, cut, missing] = await layBlobs(folder, 4, 100_000);
    const bytes = await readFile(right!.file);
    const server = createServer(({ url }, response) => {
      if (url!.endsWith(missing!.digest)) return response.writeHead(404).end();
      if (!url!.endsWith(cut!.digest)) return response.end(bytes);
      response.writeHead(200, { "Content-Length": bytes.length });
      return response.write(bytes.subarray(0, 1000), () => response.destroy());
    });
    const { port, close } = await listening(server, () => server.closeAllConnections());
    const endpoint = `http://127.0.0.1:${port}`;
    const gets = [right!, wrong!, cut!, missing!].map((blob) => ({ endpoint, blob }));
    const gotten = await getAll(folder, gets);
    await close();
    expect(gotten.bytes).toBe(100_000);
    expect(gotten.failures).toEqual([
      expect.stringMatching(/: wrong bytes/),
      expect.stringMatching(/: curl: 18 /),
      expect.stringMatching(/: curl: 22 .*404/),
    ]);
  },
);

test("rows of the same quantities share a table, which says what is needed", () => {
  const figure = (row: string, name: string, unit: string, value: number, goal?: Figure["goal"]): Figure => ({
    row,
    name: `${row}: ${name}`,
    unit,
    values: [value],
    ...(goal && { goal }),
  });
  const goal = { needed: 0.9, aim: 1 };
  const figures = [
    figure("4 blobs", "sum", "MB/s", 251.4),
    figure("4 blobs", "sum : one", "", 0.95, goal),
    figure("ranges", "failed", "", 0),
    figure("16 blobs", "sum", "MB/s", 100),
    figure("16 blobs", "sum : one", "", 0.5, goal),
  ];
  expect(tablesByRows(figures)).toEqual([
    {
      "4 blobs": { "sum MB/s": 251, "sum : one": "0.95 ✓ 0.9" },
      "16 blobs": { "sum MB/s": 100, "sum : one": "0.5 ✗ 0.9" },
    },
    { ranges: { failed: 0 } },
  ]);
});
