/** A producer of objects in memory and the ways to it: in memory, over a unix socket, over TCP. */
import { join } from "node:path";
import { SegmentConsumer } from "#ndn/consumer/consumer.ts";
import type { ObjectToFetch } from "#ndn/consumer/object-to-fetch.ts";
import { acceptFaces } from "#ndn/face/accept-faces.ts";
import type { Face, PacketHandler } from "#ndn/face/face.ts";
import { parseFaceUrl } from "#ndn/face/face-url.ts";
import { MemoryUplink } from "#ndn/face/memory-face.ts";
import { SocketUplink, type Uplink } from "#ndn/face/uplink.ts";
import { SegmentDataEncoder } from "#ndn/packet/data.ts";
import { componentsOf, generic, joinName, type Name, nameKey, numberOf, parseName, version } from "#ndn/packet/name.ts";
import { type ObjectDirectory, type Request, type SegmentedObject, SegmentProducer } from "#ndn/producer.ts";

export const prefix = parseName("/test/objects");

/** Objects by name; everything is there at once. */
export class ObjectsInMemory implements ObjectDirectory {
  readonly lookups: Name[] = [];
  private readonly objects = new Map<string, SegmentedObject>();

  /** Add an object; the result is what to fetch for all of it. */
  add(label: string, bytes: Buffer, segmentBytes = 8192): ObjectToFetch {
    const object = joinName(prefix, generic(label), version(segmentBytes));
    const lastSegment = Math.max(0, Math.ceil(bytes.length / segmentBytes) - 1);
    this.objects.set(nameKey(object), {
      encoder: new SegmentDataEncoder(object, lastSegment, 1_000),
      lastSegment,
      isCurrent: true,
      locate: (n) => ({
        buf: bytes,
        start: n * segmentBytes,
        end: Math.min(bytes.length, (n + 1) * segmentBytes),
      }),
      load: (_, waiter) => waiter.done(),
    });
    const lastSegmentBytes = bytes.length - lastSegment * segmentBytes;
    return { object, firstSegment: 0, lastSegment, segmentBytes, lastSegmentBytes };
  }

  lookup(name: Name): Request | undefined {
    this.lookups.push(name);
    const last = componentsOf(name)!.at(-1)!;
    const found = name.subarray(0, last.at);
    const object = this.objects.get(nameKey(found));
    const key = nameKey(found);
    return object && { key, segment: { object: found, number: numberOf(name, last) }, answer: async () => object };
  }
}

/** A way from a consumer to a producer. */
export interface Way extends AsyncDisposable {
  readonly uplink: Uplink;
  readonly consumer: SegmentConsumer;
}

export interface WayOptions {
  /** Stands between the uplink and the consumer. */
  readonly atConsumer?: (consumer: SegmentConsumer) => PacketHandler;
  readonly stallTimeoutMs?: number;
  readonly maxWindow?: number;
  /** Bytes of a datagram at most, over UDP. */
  readonly mtu?: number | undefined;
}

/** Connect a consumer to `handler` in memory. */
export async function inMemory(handler: PacketHandler, options: WayOptions = {}): Promise<Way> {
  return open(new MemoryUplink(handler), options, async () => undefined);
}

/** Connect a consumer to `handler` over a socket: `unix://PATH`, `tcp://127.0.0.1:0` or `udp://127.0.0.1:0`. */
export async function overSocket(url: string, handler: PacketHandler, options: WayOptions = {}): Promise<Way> {
  const { mtu } = options;
  const listener = await acceptFaces(parseFaceUrl(url), [handler], { mtu });
  const address = url.replace(/:0$/, `:${listener.port}`);
  return open(new SocketUplink(parseFaceUrl(address), mtu), options, () => listener.close());
}

/** A unix socket URL in this folder. */
export function unixUrl(folder: string, name = "face.sock"): string {
  return `unix://${join(folder, name)}`;
}

/** Resolves when the uplink is up. */
export function up(uplink: Uplink): Promise<Face> {
  return new Promise((resolve) => uplink.addListener({ onUp: resolve }));
}

/** Everything that a fetch brings. */
export async function readAll(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(Buffer.from(chunk));
  return Buffer.concat(all);
}

/** A producer of these objects. */
export function producerOf(objects: ObjectDirectory): SegmentProducer {
  return new SegmentProducer(prefix, objects);
}

async function open(uplink: Uplink, options: WayOptions, closeListener: () => Promise<void>): Promise<Way> {
  const { maxWindow = 512, stallTimeoutMs } = options;
  const consumer = new SegmentConsumer(uplink, { maxWindow, stallTimeoutMs });
  uplink.addHandler(options.atConsumer?.(consumer) ?? consumer);
  uplink.addListener({ onDown: (reason) => consumer.faceDown(reason ?? new Error("uplink was closed")) });
  uplink.open();
  await up(uplink);
  return {
    uplink,
    consumer,
    async [Symbol.asyncDispose]() {
      uplink.close();
      await closeListener();
    },
  };
}
