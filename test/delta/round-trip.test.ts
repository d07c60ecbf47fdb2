import * as fc from "fast-check";
import { expect, test } from "vitest";
import { applied, deltaBetween, idOf } from "./deltas.ts";
import { tarOf, treePair } from "./random-tree.ts";
import { buildTar } from "./tar-builder.ts";

/** Without saying which bytes, of which there may be many. */
function comesOut(base: Uint8Array, target: Uint8Array): boolean {
  return applied(base, deltaBetween(base, target), idOf(target)).equals(target);
}

test("any tree comes out of any other one, byte by byte", { timeout: 120_000 }, () => {
  fc.assert(
    fc.property(treePair, ([before, after]) => comesOut(tarOf(before), tarOf(after))),
    { numRuns: 60 },
  );
});

test("any bytes come out of any others", { timeout: 120_000 }, () => {
  const bytes = fc.uint8Array({ maxLength: 3000 });
  fc.assert(
    fc.property(bytes, bytes, fc.nat(2), (base, target, both) =>
      comesOut(base, both === 0 ? target : Buffer.concat([target, base, target])),
    ),
    { numRuns: 60 },
  );
});

test("a base that is in a Buffer is the same afterwards", () => {
  const [before, after] = [1, 2].map((version) =>
    buildTar([{ name: "p", content: Buffer.alloc(70_000, `${version}\0`) }]),
  );
  const base = Buffer.from(before!);
  expect(comesOut(base, Buffer.concat([after!, before!]))).toBe(true);
  expect(base.equals(before!)).toBe(true);
});
