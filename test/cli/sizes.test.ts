import { expect, test } from "vitest";
import { parseRate, parseSize } from "#cli/sizes.ts";

test.each([
  ["0", 0],
  ["1048576", 1_048_576],
  ["12B", 12],
  ["500KB", 500_000],
  ["500kb", 500_000],
  ["1.5MB", 1_500_000],
  ["2 GB", 2_000_000_000],
  ["1TB", 1e12],
  ["1KiB", 1024],
  ["3MiB", 3 * 1024 ** 2],
  ["10GiB", 10 * 1024 ** 3],
  ["2tib", 2 * 1024 ** 4],
])("%s is %d bytes", (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each(["", "GB", "-1", "1e3", "10M", "10 parsecs", "1,5MB", "0x10"])("%j is refused with examples", (text) => {
  expect(() => parseSize(text)).toThrow(`${JSON.stringify(text)} is not a size (examples: 10GiB, 500MB, 1048576)`);
});

test("a size beyond exact numbers is refused", () => {
  expect(() => parseSize("99999999TiB")).toThrow("more than can be counted");
});

test("a rate is a size per second, with or without saying so, and never nothing", () => {
  expect(parseRate("10MB")).toBe(10_000_000);
  expect(parseRate("1GiB/s")).toBe(1024 ** 3);
  expect(() => parseRate("0")).toThrow('"0" lets nothing through; leave the option out for no limit');
});
