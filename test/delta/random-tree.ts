/** Trees of files, and changes of them, as tars of all kinds. */
import * as fc from "fast-check";
import { type BuiltEntry, buildTar, paxRecords } from "./tar-builder.ts";

export interface TreeFile {
  readonly name: string;
  readonly content: Uint8Array;
  readonly kind: "ustar" | "v7" | "pax" | "gnu" | "link" | "sparse";
  readonly mtime: number;
}

const word = fc.constantFrom("lib", "app-1.2.3", "app-1.2.4", "main.js", "x", "Größe");
const name = fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join("/"));
const pieces = [Buffer.from("function call(a, b) { return a + b }\n"), Buffer.alloc(64), Buffer.from([0x7f, 1, 0, 9])];
const content = fc.oneof(
  fc.uint8Array({ maxLength: 600 }),
  fc.array(fc.constantFrom(...pieces), { maxLength: 60 }).map((parts) => Buffer.concat(parts)),
  // A program large enough to be written as differences.
  fc.integer({ min: 1, max: 5 }).map((seed) => Buffer.alloc(70_000 + seed, Uint8Array.from([0, seed, 3, 0, 7, 7, 9]))),
);
const file: fc.Arbitrary<TreeFile> = fc.record({
  name,
  content,
  kind: fc.constantFrom("ustar", "v7", "pax", "gnu", "link", "sparse"),
  mtime: fc.constantFrom(1_764_200_000, 1_764_300_000),
});

type Edit = readonly [what: number, at: number, file: TreeFile];

/** A tree and what became of it. */
export const treePair = fc
  .tuple(fc.array(file, { maxLength: 12 }), fc.array(fc.tuple(fc.nat(5), fc.nat(), file), { maxLength: 6 }))
  .map(([tree, edits]) => [tree, edits.reduce(edited, tree)] as const);

function edited(tree: readonly TreeFile[], [what, at, other]: Edit): TreeFile[] {
  const index = at % Math.max(1, tree.length);
  const old = tree[index] ?? other;
  const changed = { ...old, content: changedContent(old.content, at, other.content) };
  if (what === 0) return tree.toSpliced(index, 1);
  if (what === 1) return tree.toSpliced(index, 0, other);
  if (what === 2) return tree.toSpliced(index, 1, { ...old, name: other.name });
  if (what === 3) return tree.map((each) => ({ ...each, mtime: other.mtime }));
  if (what === 4) return tree.toSpliced(index, 1, changed);
  return [...tree.slice(index), ...tree.slice(0, index)];
}

/** Some bytes replaced, from somewhere on. */
function changedContent(bytes: Uint8Array, at: number, by: Uint8Array): Uint8Array {
  const start = at % (bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, start), by.subarray(0, 40), bytes.subarray(start + (at % 50))]);
}

export function tarOf(tree: readonly TreeFile[]): Uint8Array {
  return buildTar(tree.flatMap(entriesOf));
}

function entriesOf({ name, content, kind, mtime }: TreeFile): BuiltEntry[] {
  const entry = { name, content, mtime };
  if (kind === "v7") return [{ ...entry, isV7: true }];
  if (kind === "pax") return [{ name: "p", type: "x", content: paxRecords({ path: `long/${name}` }) }, entry];
  if (kind === "gnu") return [{ name: "././@LongLink", type: "L", content: Buffer.from(`${name}\0`) }, entry];
  if (kind === "link") return [{ name, type: "1", link: "x", mtime }];
  if (kind === "sparse") return [{ ...entry, type: "S" }];
  return [entry];
}
