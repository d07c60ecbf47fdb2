/**
 * Deltas that were right once: each gives the expected bytes or fails as a delta does. `NDN_REGISTRY_FUZZ=n` says how many;
 * without it, a thousand.
 */
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { expect, test } from "vitest";
import { encodeBlock, readSections, type Section } from "#delta/format/block.ts";
import { DeltaError } from "#delta/format/delta-error.ts";
import { encodeFrame, readBlocks } from "#delta/format/delta-file.ts";
import { bytesReader } from "#delta/random-reader.ts";
import { applied, deltaBetween, idOf } from "#test/delta/deltas.ts";
import { buildTar } from "#test/delta/tar-builder.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";
import { below, oneOf, seededRandom } from "#test/support/seeded-random.ts";

const deltas = Number(process.env.NDN_REGISTRY_FUZZ ?? 1_000);
const seed = Number(process.env.NDN_REGISTRY_FUZZ_SEED ?? 1);

/** Files that are copied, packed with a dictionary, and written as differences. */
function tarAt(version: number): Uint8Array {
  const program = Buffer.from(randomBytesOf("program", 70_000));
  for (let at = 0; at < program.length; at += 100) program[at] = version;
  return buildTar([
    { name: "same", content: randomBytesOf("same", 3000) },
    { name: "text", content: Buffer.from(`version ${version}, ${"some text ".repeat(version * 10)}`) },
    { name: `lib-${version}.so`, content: program, mtime: 1_764_200_000 + version },
  ]);
}

const [base, target] = [tarAt(1), tarAt(2)];
const delta = deltaBetween(base, target);
const headerBytes = 8 + 80 + 4;

type Random = () => number;

/** One with other bytes, of which the checksums are right, so that they are read. */
function spoilt(random: Random): Buffer {
  const blocks = [...readBlocks(bytesReader(delta))].map((block) => spoiltBlock(block, random));
  const order = random() < 0.1 ? [...blocks, ...blocks] : blocks;
  const frames = [...order, new Uint8Array()].map(encodeFrame);
  return Buffer.concat([delta.subarray(0, headerBytes), ...frames]);
}

function spoiltBlock(block: Uint8Array, random: Random): Uint8Array {
  if (random() < 0.3) return changed(block, random);
  const sections = readSections(block);
  const sometimes = (section: Section) => (random() < 0.2 ? spoiltSection(section, random) : section);
  return encodeBlock({
    plan: spoiltSection(sections.plan, random),
    headers: sometimes(sections.headers),
    parts: sections.parts.map(({ contents, differences }) => ({
      contents: sometimes(contents),
      differences: sometimes(differences),
    })),
  });
}

/** Mostly what is in it is changed, and packed again. */
function spoiltSection({ plainBytes, packed }: Section, random: Random): Section {
  if (plainBytes === 0 || random() < 0.1) return { plainBytes: below(random, 1 << 30), packed };
  if (packed.length === plainBytes) return { plainBytes, packed: changed(packed, random) };
  try {
    const plain = changed(zstdDecompressSync(packed), random);
    return { plainBytes: plain.length, packed: zstdCompressSync(plain) };
  } catch {
    return { plainBytes, packed: changed(packed, random) }; // with a dictionary
  }
}

function changed(bytes: Uint8Array, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  const changes = 1 + below(random, 3);
  for (let change = 0; change < changes && copy.length > 0; change++) {
    const at = below(random, copy.length);
    copy[at] = oneOf(random, [0, 1, 0x7f, 0x80, 0xff, copy[at]! ^ 1, below(random, 256)]);
  }
  return random() < 0.1 ? copy.subarray(0, below(random, copy.length + 1)) : copy;
}

test(`${deltas} deltas with wrong bytes give no wrong bytes`, { timeout: 60_000 + deltas * 50 }, () => {
  expect(applied(base, delta, idOf(target)).equals(target)).toBe(true);
  const random = seededRandom(seed);
  const outcomes = { right: 0, refused: 0 };
  for (let count = 0; count < deltas; count++) outcomes[outcomeOf(spoilt(random))] += 1;
  expect(outcomes.right + outcomes.refused).toBe(deltas);
  expect(outcomes.refused).toBeGreaterThan(deltas / 2);
});

/** @throws What is not an error of a delta. */
function outcomeOf(hostile: Uint8Array): "right" | "refused" {
  try {
    expect(applied(base, hostile, idOf(target)).equals(target)).toBe(true);
    return "right";
  } catch (err: unknown) {
    if (err instanceof DeltaError) return "refused";
    throw err;
  }
}
