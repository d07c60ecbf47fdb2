import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { below, oneOf, seededRandom } from "#test/support/seeded-random.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { openStore, readBlob } from "./opened-store.ts";
import { compileStoreChild, startStoreChild } from "./store-process.ts";

const maxBytes = 1_000_000;
/** A child is killed soon after it has said one of these, so many times at most. */
const moments = [
  ["ready", 1],
  ["committed", 8],
  ["named", 2],
] as const;

test("killed at 50 random moments: every visible blob is right, the budget holds, what broke off is continued", {
  timeout: 120_000,
}, async () => {
  await using folder = await makeTemporaryFolder();
  const directory = join(folder.path, "cache");
  const env = await compileStoreChild(join(folder.path, "compiled"));
  const random = seededRandom(5);
  let [resumed, seen] = [0, 0];
  for (let round = 0; round < 50; round++) {
    const child = startStoreChild({ directory, seed: round, maxBytes }, { env });
    // Now and then while it opens the store, else while it writes; on a slow disk, too, some have named blobs.
    const [line, times] = oneOf(random, moments);
    if (round % 10 !== 9) await child.said(line, 1 + below(random, times));
    await delay(random() * 80);
    await child.kill();
    expect(child.lines.filter((line) => /^(wrong|failed|warned)/.test(line))).toEqual([]);
    resumed += child.lines.filter((line) => line.startsWith("resumed")).length;
    seen += checkDirectory(directory);
  }
  expect(resumed).toBeGreaterThan(0);
  expect(seen).toBeGreaterThan(10); // a slow disk holds few blobs that have names
  await using opened = await openStore(directory, maxBytes);
  for (const { digest } of opened.store.list()) expect(hashOf((await readBlob(opened.store, digest))!)).toBe(digest);
  expect((await opened.store.verify()).bad).toEqual([]);
});

/** How many blobs there are, all of them right. */
function checkDirectory(path: string): number {
  const [blobs, partials] = [join(path, "blobs/sha256"), join(path, "partial")];
  const names = namesIn(blobs);
  const sizes = names.map((name) => {
    const bytes = readFileSync(join(blobs, name));
    expect(hashOf(bytes)).toBe(`sha256:${name}`);
    return bytes.length;
  });
  for (const name of namesIn(partials)) sizes.push(statSync(join(partials, name)).size);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(maxBytes);
  return names.length;
}

/** Killed very early, it has made no directory yet. */
function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function hashOf(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
