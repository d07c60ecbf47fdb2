import { once } from "node:events";
import { connect } from "node:net";
import { Component, Data, type Name, nullSigner } from "@ndn/packet";
import { Encoder } from "@ndn/tlv";
import { randomBytesOf } from "./random-bytes.ts";

/** Which segments of which object are forged. */
export interface Forgery {
  /** Name of the object, without segment number. */
  readonly name: Name;
  readonly sizeBytes: number;
  /** Segment numbers. */
  readonly segments: readonly number[];
}

/** Put Data with the right names and the wrong content into a forwarder's content store, which takes unsolicited Data. */
export async function poison(socketPath: string, { name, sizeBytes, segments }: Forgery): Promise<void> {
  const last = Math.ceil(sizeBytes / segmentBytes) - 1;
  const forged = segments.map((n) => {
    const payload = randomBytesOf(`forged ${n}`, n === last ? sizeBytes - last * segmentBytes : segmentBytes);
    const data = new Data(name.append(segment(n)), Data.FreshnessPeriod(86_400_000), payload);
    data.finalBlockId = segment(last);
    return data;
  });
  await insert(socketPath, forged);
}

/** Put these Data, which nobody has asked for, into a forwarder's content store; they get a Null signature. */
export async function insert(socketPath: string, packets: readonly Data[]): Promise<void> {
  const socket = connect(socketPath);
  await once(socket, "connect");
  for (const data of packets) {
    await nullSigner.sign(data);
    if (!socket.write(Encoder.encode(data))) await once(socket, "drain");
  }
  socket.end();
  socket.resume();
  await once(socket, "close");
}

const segmentBytes = 8192;

/** `50=n` with the shortest NonNegativeInteger. */
function segment(n: number): Component {
  const value = Buffer.alloc(n < 0x100 ? 1 : 2);
  value.writeUIntBE(n, 0, value.length);
  return new Component(50, value);
}
