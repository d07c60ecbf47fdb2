/** Asking a server for pointers, and reading what they say. */
import type { Data } from "@ndn/packet";
import { objectName, repositoryName } from "#blob/names.ts";
import { decodePointer, type Pointer } from "#blob/pointer.ts";
import { type PointerTarget, pointerName } from "#blob/pointer-names.ts";
import type { InterestOptions } from "#ndn/consumer/interest-client.ts";
import { contentTypes } from "#ndn/packet/data.ts";
import { joinName, type Name, segment } from "#ndn/packet/name.ts";
import { prefix, type Reader } from "../serving.ts";

export const repository = "team/app";

/** The packet for a target; fails when there is none in time. */
export function getPointer(reader: Reader, target: PointerTarget, options: InterestOptions = {}): Promise<Data> {
  return reader.get(pointerName(prefix, target), options);
}

/** What the pointer says; undefined when it is that there is none. */
export async function askPointer(reader: Reader, target: PointerTarget, options?: InterestOptions) {
  const data = await getPointer(reader, target, options);
  return data.contentType === contentTypes.Nack ? undefined : pointerIn(data);
}

/** @throws Error when the packet has none. */
export function pointerIn({ content }: Data): Pointer {
  const pointer = decodePointer(prefix, Buffer.from(content));
  if (pointer === undefined) throw new Error("no pointer");
  return pointer;
}

/** All bytes of what a pointer points at, by its segments. */
export async function readPointed(reader: Reader, pointer: Pointer, hint?: Name): Promise<Buffer> {
  const object = objectName(prefix, pointer.digest, pointer.segmentBytes);
  const forwardingHint = hint ?? pointer.hint ?? repositoryName(prefix, repository);
  const pieces: Uint8Array[] = [];
  for (let n = 0; n * pointer.segmentBytes < Math.max(1, pointer.sizeBytes); n++) {
    const data = await reader.get(joinName(object, segment(n)), { isExact: true, forwardingHint });
    pieces.push(data.content);
  }
  return Buffer.concat(pieces);
}
