import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { applied, idOf } from "./deltas.ts";

/** Of version 1 of docs/delta-format.md: both may only change together, and with the version. */
const vector = JSON.parse(readFileSync(new URL("vector.json", import.meta.url), "utf8")) as Record<string, string>;

test("the delta of the golden vector, with all operations and a dictionary, gives its tar", () => {
  const [base, target] = [Buffer.from(vector.base!), Buffer.from(vector.target!)];
  expect(applied(base, Buffer.from(vector.delta!, "hex"), idOf(target)).toString()).toBe(vector.target);
});
