import { Data, Name, SigInfo, ValidityPeriod } from "@ndn/packet";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readElements, TT, tlv } from "#ndn/packet/tlv.ts";
import { readSignedData } from "#ndn/trust/signed-data.ts";
import { arbData, arbName, trapped } from "../packet/arbitraries.ts";
import { wireOf } from "./authority.ts";

const arbSigned = fc
  .record({
    data: arbData,
    type: fc.constantFrom(0, 1, 3, 5, 200, 70_000),
    locator: fc.option(arbName, { nil: undefined }),
    time: fc.option(fc.nat(2 ** 31), { nil: undefined }),
    period: fc.option(fc.tuple(fc.nat(4_000_000_000), fc.nat(4_000_000_000)), { nil: undefined }),
    value: fc.uint8Array({ maxLength: 300 }),
  })
  .map(({ data, type, locator, time, period, value }) => {
    data.sigInfo = new SigInfo(type);
    if (locator) data.sigInfo = new SigInfo(type, locator);
    if (time !== undefined) data.sigInfo.time = time;
    if (period) data.sigInfo.validity = new ValidityPeriod(period[0] * 1000, period[1] * 1000);
    data.sigValue = value;
    return data;
  });

test("a Data is read as @ndn/packet writes it, wherever it lies", () => {
  fc.assert(
    fc.property(arbSigned, fc.nat(255), (data, filler) => {
      const { buf, start, end } = trapped(wireOf(data), filler);
      const read = readSignedData(buf.subarray(start, end));
      expect(read).toBeDefined();
      const { name, contentType, freshnessMs, content, signature, signatureValue } = read!;
      expect(new Name(name).equals(data.name)).toBe(true);
      expect({ contentType, freshnessMs }).toEqual({
        contentType: data.contentType,
        freshnessMs: data.freshnessPeriod,
      });
      expect(content.equals(data.content)).toBe(true);
      expect(signatureValue.equals(data.sigValue)).toBe(true);
      expect(signature.type).toBe(data.sigInfo.type);
      expect(signature.timeMs).toBe(data.sigInfo.time);
      expect(signature.keyLocator && new Name(signature.keyLocator).toString()).toBe(
        data.sigInfo.keyLocator?.name?.toString(),
      );
      expect(signature.validity?.notAfterMs).toBe(data.sigInfo.validity?.notAfter);
      expect(signature.validity?.notBeforeMs).toBe(data.sigInfo.validity?.notBefore);
    }),
    { numRuns: 200, seed: 6 },
  );
});

/** The same packet with other elements in it. */
function rebuilt(packet: Buffer, change: (elements: Buffer[]) => Buffer[]): Buffer {
  const inside = readElements(packet)![0]!;
  const elements = readElements(packet, inside.start, inside.end)!.map(({ at, end }) => packet.subarray(at, end));
  return tlv(TT.Data, ...change(elements));
}

const packet = wireOf(
  Object.assign(new Data("/a/b", Buffer.from("content"), Data.FreshnessPeriod(5)), {
    sigInfo: new SigInfo(3, new Name("/a/KEY/k")),
    sigValue: Buffer.alloc(70),
  }),
);

test.each<[string, (elements: Buffer[]) => Buffer[]]>([
  ["a second Content behind the signature", (all) => [...all, tlv(TT.Content, Buffer.from("unsigned"))]],
  ["anything behind the signature", (all) => [...all, tlv(0xf0, Buffer.alloc(1))]],
  ["a second Name", (all) => [all[0]!, ...all]],
  ["a second Content", (all) => all.toSpliced(2, 0, all[2]!)],
  ["elements out of order", (all) => [all[1]!, all[0]!, ...all.slice(2)]],
  ["an unknown critical element", (all) => all.toSpliced(1, 0, tlv(0xf1, Buffer.alloc(1)))],
  ["no Name", (all) => all.slice(1)],
  ["no SignatureInfo", (all) => all.toSpliced(3, 1)],
  ["no SignatureValue", (all) => all.slice(0, -1)],
  ["an empty SignatureInfo", (all) => all.with(3, tlv(TT.SignatureInfo))],
])("a packet with %s is malformed", (_, change) => {
  expect(readSignedData(rebuilt(packet, (all) => all))).toBeDefined();
  expect(readSignedData(rebuilt(packet, change))).toBeUndefined();
});

test("an unknown element that is not critical is passed over, within what is signed", () => {
  const extended = rebuilt(packet, (all) => all.toSpliced(2, 0, tlv(0xf0, Buffer.from("more"))));
  const { content, signedPortion } = readSignedData(extended)!;
  expect(content.toString()).toBe("content");
  expect(signedPortion.includes("more")).toBe(true);
});

test("bytes around the packet make it malformed", () => {
  expect(readSignedData(Buffer.concat([packet, Buffer.of(0xf0, 0)]))).toBeUndefined();
  expect(readSignedData(packet.subarray(0, -1))).toBeUndefined();
  expect(readSignedData(tlv(0x64, tlv(0x50, packet)))).toBeUndefined();
});
