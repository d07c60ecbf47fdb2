import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ByteCursor, ByteWriter } from "#delta/format/byte-coding.ts";
import { DeltaError } from "#delta/format/delta-error.ts";
import { DifferenceReader, encodeDifferences } from "#delta/format/difference-coding.ts";

test("numbers are read as they were written", () => {
  const number = fc.oneof(fc.maxSafeInteger(), fc.integer());
  fc.assert(
    fc.property(fc.array(number), (numbers) => {
      const writer = new ByteWriter();
      for (const value of numbers) {
        writer.unsigned(Math.abs(value));
        writer.signed(Math.trunc(value / 2));
      }
      const cursor = new ByteCursor(writer.written());
      for (const value of numbers) {
        expect(cursor.unsigned()).toBe(Math.abs(value));
        expect(cursor.signed()).toBe(Math.trunc(value / 2) + 0);
      }
      expect(cursor.isAtEnd).toBe(true);
    }),
  );
});

test.each(["80", "8080", "ffffffffffffffff7f", "80808080808080808000", "ffffffffffffff1f"])(
  "the bytes %s are no number",
  (hex) => {
    expect(() => new ByteCursor(Buffer.from(hex, "hex")).unsigned()).toThrow(DeltaError);
  },
);

test("more bytes than are left are an error", () => {
  expect(() => new ByteCursor(new Uint8Array(3)).bytes(4)).toThrow(DeltaError);
});

const mostlyZeros = fc
  .array(fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(255) }), { maxLength: 300 })
  .map((bytes) => Uint8Array.from(bytes));

test("differences are added as they were taken, in pieces of any length", () => {
  fc.assert(
    fc.property(mostlyZeros, fc.infiniteStream(fc.integer({ min: 1, max: 50 })), (differences, lengths) => {
      const reader = new DifferenceReader(new ByteCursor(encodeDifferences(differences)));
      const sum = new Uint8Array(differences.length).fill(200);
      for (let at = 0; at < sum.length; ) {
        const end = at + lengths.next().value!;
        reader.addTo(sum.subarray(at, end));
        at = end;
      }
      reader.checkEnd();
      expect(sum).toEqual(differences.map((difference) => difference + 200));
    }),
  );
});

test.each([
  ["a run that ends too early", [0, 3, 1, 2]],
  ["a run of nothing", [1, 0]],
])("%s is an error", (_, coded) => {
  const reader = new DifferenceReader(new ByteCursor(Uint8Array.from(coded)));
  expect(() => reader.addTo(new Uint8Array(10))).toThrow(DeltaError);
});

test("differences that no byte takes are an error", () => {
  const reader = new DifferenceReader(new ByteCursor(Uint8Array.from([0, 2, 1, 1])));
  reader.addTo(new Uint8Array(1));
  expect(() => reader.checkEnd()).toThrow(DeltaError);
});
