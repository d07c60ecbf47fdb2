import * as fc from "fast-check";
import { expect, test } from "vitest";
import { bytesReader } from "#delta/random-reader.ts";
import { tarFiles } from "#delta/tar/tar-files.ts";
import { buildTar } from "./tar-builder.ts";

const entry = fc.record({
  name: fc.string({ maxLength: 120, unit: "binary" }),
  content: fc.uint8Array({ maxLength: 2000 }),
  type: fc.constantFrom(...Array.from("0123456789ADKLMNSVXgx\0 ")),
  mtime: fc.nat(),
});

/** A tar in which some bytes are others, or that is cut off. */
const spoiltTar = fc
  .tuple(fc.array(entry, { maxLength: 6 }), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 }), fc.nat())
  .map(([entries, changes, cut]) => {
    const tar = Buffer.from(buildTar(entries));
    for (const [at, byte] of changes) tar[at % tar.length] = byte;
    return cut % 3 === 0 ? tar.subarray(0, cut % tar.length) : tar;
  });

test("the files of any bytes are in order, apart and within them", () => {
  fc.assert(
    fc.property(fc.oneof(spoiltTar, fc.uint8Array({ maxLength: 4000 })), (bytes) => {
      let end = 0;
      for (const file of tarFiles(bytesReader(bytes))) {
        expect(file.start).toBeGreaterThanOrEqual(end + 512);
        expect(file.end).toBeGreaterThan(file.start);
        end = file.end;
      }
      expect(end).toBeLessThanOrEqual(bytes.length);
    }),
  );
});
