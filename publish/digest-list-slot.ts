/**
 * How a packet lies in a file: slots of one size, each with the sha256 of its packet before it, so that what was cut
 * off, damaged or never written is known from what is right.
 */
import { hash } from "node:crypto";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { maxPacketBytes, readVarNumber, TT, varNumberBytes } from "#ndn/packet/tlv.ts";

const checksumBytes = 32;
const slotBytes = checksumBytes + maxPacketBytes;

/** The packet in slot `number`; undefined when that is empty, cut off or damaged. @throws the file system's error. */
export async function readSlot(path: string, number: number): Promise<Buffer | undefined> {
  const file = await open(path, "r");
  try {
    const slot = Buffer.alloc(slotBytes);
    const { bytesRead } = await file.read(slot, 0, slotBytes, number * slotBytes);
    return packetIn(slot.subarray(0, bytesRead));
  } finally {
    await file.close();
  }
}

/** Write slot `number`. @returns the size of the file. @throws the file system's error. */
export async function writeSlot(path: string, number: number, packet: Buffer): Promise<number> {
  // Neither truncates the file nor fails when it is new.
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT, 0o600);
  try {
    const slot = Buffer.concat([checksumOf(packet), packet]);
    await file.write(slot, 0, slot.length, number * slotBytes);
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}

function packetIn(slot: Buffer): Buffer | undefined {
  const lengthAt = checksumBytes + 1;
  const length = slot[checksumBytes] === TT.Data ? readVarNumber(slot, lengthAt, slot.length) : -1;
  if (length < 0) return undefined;
  const packet = Buffer.from(slot.subarray(checksumBytes, lengthAt + varNumberBytes(slot, lengthAt) + length));
  return checksumOf(packet).equals(slot.subarray(0, checksumBytes)) ? packet : undefined;
}

function checksumOf(packet: Buffer): Buffer {
  return hash("sha256", packet, "buffer");
}
