import { Name as NdnName } from "@ndn/packet";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  componentsOf,
  formatName,
  generic,
  joinName,
  keyword,
  numberOf,
  parseName,
  segment,
  startsWith,
  version,
} from "#ndn/packet/name.ts";
import { arbName } from "./arbitraries.ts";

test("a name in URI form is the same bytes that NDNts makes of it", () => {
  fc.assert(
    fc.property(arbName, (name) => {
      expect(parseName(name.toString()).equals(name.value)).toBe(true);
    }),
  );
});

test("what is formatted parses back where no marker component is in it", () => {
  const text = fc.stringMatching(/^[a-z0-9 %~.-]{1,20}$/).filter((part) => !/^\.+$/.test(part));
  fc.assert(
    fc.property(fc.array(text, { minLength: 1 }), (parts) => {
      const name = joinName(...parts.map(generic));
      expect(parseName(formatName(name)).equals(name)).toBe(true);
    }),
  );
});

test("marker components are shown in the alternate form of the naming conventions", () => {
  expect(formatName(joinName(generic("A"), keyword("metadata"), version(8192), segment(5)))).toBe(
    "/A/32=metadata/v=8192/seg=5",
  );
});

test.each(["", "example", "/a b", "/a//b", "/a?b", "/a#b", "http://host/a"])("%j is no name", (uri) => {
  expect(() => parseName(uri)).toThrow(/not an NDN name/);
});

test("the components of a name cover it without a gap and are those of NDNts", () => {
  fc.assert(
    fc.property(arbName, (name) => {
      const bytes = Buffer.from(name.value);
      const spans = componentsOf(bytes)!;
      expect(spans.map((span) => span.type)).toEqual(name.comps.map((component) => component.type));
      expect(spans.map((span) => bytes.toString("hex", span.at, span.end))).toEqual(
        name.comps.map((component) => Buffer.from(component.tlv).toString("hex")),
      );
    }),
  );
});

test("bytes that are not a sequence of components have none", () => {
  const bytes = Buffer.from(new NdnName("/A/B/C").value);
  for (let cut = 1; cut < bytes.length; cut++) {
    expect(componentsOf(bytes.subarray(0, cut)) !== undefined).toBe(cut % 3 === 0);
  }
  expect(componentsOf(Buffer.from("0000", "hex"))).toBeUndefined();
});

test("a prefix is a prefix by whole components", () => {
  fc.assert(
    fc.property(arbName, fc.nat(8), (name, count) => {
      const prefix = name.getPrefix(count);
      expect(startsWith(name.value, prefix.value)).toBe(true);
      expect(startsWith(prefix.value, name.value)).toBe(prefix.length === name.length);
    }),
  );
});

test("numbers are written in their shortest form and read back", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (n) => {
      const component = segment(n);
      const [span] = componentsOf(component)!;
      expect(numberOf(component, span!)).toBe(n);
      expect(span!.end - span!.start).toBe(n <= 0xff ? 1 : n <= 0xffff ? 2 : n <= 0xffffffff ? 4 : 8);
    }),
  );
});
