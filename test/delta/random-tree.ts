/** Trees of files, and changes of them, as tars of all kinds. */
import * as fc from "fast-check";
import { type BuiltEntry, buildTar, paxRecords } from "./tar-builder.ts";

export interface TreeFile {
  readonly name: string;
  /** Piece after piece; short, so that a failure can be read. */
  readonly content: readonly Piece[];
  readonly kind: "ustar" | "v7" | "pax" | "gnu" | "link" | "sparse";
  readonly mtime: number;
}

const word = fc.constantFrom("lib", "app-1.2.3", "app-1.2.4", "main.js", "x", "Größe");
const name = fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join("/"));
/** A text as hexadecimal digits, and how often. */
type Piece = readonly [hex: string, times: number];

const texts = ["function call(a, b) { return a + b }\n", "\0".repeat(64), "\x7f\x01\0\t"].map((text) =>
  Buffer.from(text, "latin1").toString("hex"),
);
const bytes = fc.uint8Array({ maxLength: 100 }).map((values): Piece => [Buffer.from(values).toString("hex"), 1]);
const text = fc.tuple(fc.constantFrom(...texts), fc.integer({ min: 1, max: 20 }));
/** Large enough to be written as differences. */
const program = fc.integer({ min: 1, max: 5 }).map((seed): Piece => [`000${seed}0300070709`, 10_000]);
const content = fc.array(fc.oneof({ weight: 3, arbitrary: bytes }, { weight: 6, arbitrary: text }, program), {
  maxLength: 6,
});
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
  const changed = { ...old, content: old.content.toSpliced(at % (old.content.length + 1), at % 2, ...other.content) };
  if (what === 0) return tree.toSpliced(index, 1);
  if (what === 1) return tree.toSpliced(index, 0, other);
  if (what === 2) return tree.toSpliced(index, 1, { ...old, name: other.name });
  if (what === 3) return tree.map((each) => ({ ...each, mtime: other.mtime }));
  if (what === 4) return tree.toSpliced(index, 1, changed);
  return [...tree.slice(index), ...tree.slice(0, index)];
}

export function tarOf(tree: readonly TreeFile[]): Uint8Array {
  return buildTar(tree.flatMap(entriesOf));
}

function entriesOf({ name, content: pieces, kind, mtime }: TreeFile): BuiltEntry[] {
  const content = Buffer.concat(pieces.map(([hex, times]) => Buffer.from(hex.repeat(times), "hex")));
  const entry = { name, content, mtime };
  if (kind === "v7") return [{ ...entry, isV7: true }];
  if (kind === "pax") return [{ name: "p", type: "x", content: paxRecords({ path: `long/${name}` }) }, entry];
  if (kind === "gnu") return [{ name: "././@LongLink", type: "L", content: Buffer.from(`${name}\0`) }, entry];
  if (kind === "link") return [{ name, type: "1", link: "x", mtime }];
  if (kind === "sparse") return [{ ...entry, type: "S" }];
  return [entry];
}
