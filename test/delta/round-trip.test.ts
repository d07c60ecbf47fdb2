import * as fc from "fast-check";
import { expect, test } from "vitest";
import { applied, deltaBetween, idOf } from "./deltas.ts";
import { tarOf, treePair } from "./random-tree.ts";

function expectRoundTrip(base: Uint8Array, target: Uint8Array): void {
  const delta = deltaBetween(base, target);
  expect(applied(base, delta, idOf(target)).equals(target)).toBe(true);
}

test("any tree comes out of any other one, byte by byte", { timeout: 120_000 }, () => {
  fc.assert(
    fc.property(treePair, ([before, after]) => expectRoundTrip(tarOf(before), tarOf(after))),
    { numRuns: 60 },
  );
});

test("any bytes come out of any others", { timeout: 120_000 }, () => {
  const bytes = fc.uint8Array({ maxLength: 3000 });
  fc.assert(
    fc.property(bytes, bytes, fc.nat(2), (base, target, both) => {
      expectRoundTrip(base, both === 0 ? target : Buffer.concat([target, base, target]));
    }),
    { numRuns: 60 },
  );
});
