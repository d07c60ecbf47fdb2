/**
 * Answers Interests for segmented objects.
 *
 * Hot path: an Interest for an open object is matched by the bytes of its name and answered from memory within the
 * call that received it; nothing is decoded beyond the name (`npm run bench`, row "server, ndnd, client").
 */

import type { Face, PacketHandler } from "./face/face.ts";
import { maxLpHeaderBytes, type SegmentDataEncoder, writeLpHeader } from "./packet/data.ts";
import { type InterestFields, readInterest } from "./packet/interest.ts";
import { type Name, nameKey, withoutImplicitDigest } from "./packet/name.ts";
import type { PacketView } from "./packet/packet-view.ts";
import { maxPacketBytes, TT } from "./packet/tlv.ts";
import { isPending, join, type PendingInterest } from "./pending-interest.ts";

/** Where the payload of a segment lies in memory. */
export interface Payload {
  readonly buf: Buffer;
  readonly start: number;
  readonly end: number;
}

/** An object whose segments can be answered. */
export interface SegmentedObject {
  readonly encoder: SegmentDataEncoder;
  readonly lastSegment: number;
  /** False when its source has lost it, or should be asked again: then the directory says anew where it is. */
  readonly isCurrent: boolean;
  /** The payload of segment `n`, which is to be sent, if it is in memory; may be one object that is filled again by the next call. */
  locate(n: number): Payload | undefined;
  /** Read segment `n`, then tell `waiter`: `locate(n)` then answers, unless the read failed. */
  load(n: number, waiter: SegmentWaiter): void;
}

/** Someone who asks, such as a face. */
export interface Puller {
  /** It will ask no more. @defaultValue false */
  readonly isGone?: boolean;
}

/** Who waits for a segment. */
export interface SegmentWaiter {
  /** For whom: those of different ones take turns where not all can be read at once. */
  readonly puller: Puller;
  /** False when no Interest is pending any more: then the segment need not be read. */
  isWaiting(): boolean;
  /** To be called once. */
  done(): void;
}

/** What a name that is not an open object asks for. */
export interface Request {
  /** Requests with the same key share one `answer` while it is under way. */
  readonly key: string;
  /** The name of the object (all before the segment component) and the number asked for; undefined for other packets. */
  readonly segment: { readonly object: Name; readonly number: number } | undefined;
  /** An object to keep open, a ready packet to send, or undefined for silence. */
  answer(): Promise<SegmentedObject | Buffer | undefined>;
}

/** Knows which names exist. */
export interface ObjectDirectory {
  /** Classify a name (implicit digest already dropped) without any I/O; undefined means silence. */
  lookup(name: Name, interest: InterestFields): Request | undefined;
}

/** Bounds on what strangers can make a producer hold. */
const maxOpenObjects = 4096;
const maxWaiting = 16_384;
/** For metadata and segments of 256 blobs, which are asked for at the same time. */
const maxOpening = 512;
/** How often open objects are looked through for those that are no longer current: never for a packet's sake. */
const sweepMs = 30_000;

/** What has happened since the start. */
export interface ProducerCounters {
  interests: number;
  segmentsSent: number;
  payloadBytesSent: number;
  /** Interests dropped because a bound was reached. */
  dropped: number;
}

/** Answers Interests under one prefix from an `ObjectDirectory`, on any number of faces. */
export class SegmentProducer implements PacketHandler {
  readonly counters: ProducerCounters = { interests: 0, segmentsSent: 0, payloadBytesSent: 0, dropped: 0 };
  readonly #prefix: Name;
  readonly #directory: ObjectDirectory;
  /** Open objects by the bytes of their name, in order of opening. */
  readonly #open = new Map<string, SegmentedObject>();
  readonly #opening = new Map<string, PendingInterest[]>();
  /** Who waits for segments that are being read, by their number. */
  readonly #loading = new Map<SegmentedObject, Map<number, PendingInterest[]>>();
  #waiting = 0;
  /** Runs while anything is open. */
  #sweeping: NodeJS.Timeout | undefined;

  constructor(prefix: Name, directory: ObjectDirectory) {
    this.#prefix = prefix;
    this.#directory = directory;
  }

  accept(view: PacketView, face: Face): boolean {
    const { buf, nameStart, nameEnd } = view;
    const prefix = this.#prefix;
    if (view.type !== TT.Interest || view.nackReason !== undefined || nameEnd - nameStart < prefix.length) return false;
    if (buf.compare(prefix, 0, prefix.length, nameStart, nameStart + prefix.length) !== 0) return false;
    this.counters.interests++;
    const object = view.findObject(this.#open);
    if (object) this.#answerSegment(object, view.segmentNumber, face, view.buf, view.tokenStart, view.tokenEnd);
    else this.#answerByDirectory(view, face);
    return true;
  }

  /** The PIT token of the Interest is `token[from, to)`. */
  #answerSegment(object: SegmentedObject, n: number, face: Face, token: Buffer, from: number, to: number): void {
    if (n > object.lastSegment) return;
    const payload = object.locate(n);
    if (payload !== undefined) this.#send(object, n, payload, face, token, from, to);
    else this.#answerWhenLoaded(object, this.#remember(n, face, token, from, to));
  }

  #send(object: SegmentedObject, n: number, payload: Payload, face: Face, token: Buffer, from: number, to: number) {
    const { encoder } = object;
    const at = face.reserve(maxLpHeaderBytes + maxPacketBytes);
    const payloadBytes = payload.end - payload.start;
    const packetAt = writeLpHeader(face.buffer, at, token, from, to, encoder.sizeof(n, payloadBytes));
    face.commit(encoder.write(face.buffer, packetAt, n, payload.buf, payload.start, payload.end));
    this.counters.segmentsSent++;
    this.counters.payloadBytesSent += payloadBytes;
  }

  /** Interests for one segment wait for one reading of it. */
  #answerWhenLoaded(object: SegmentedObject, waiting: PendingInterest | undefined): void {
    if (waiting === undefined) return;
    const { segmentNumber } = waiting;
    const loading = this.#loading.get(object) ?? new Map<number, PendingInterest[]>();
    const others = loading.get(segmentNumber);
    if (others) {
      if (join(others, waiting)) this.#waiting++;
      return;
    }
    const all = [waiting];
    this.#waiting++;
    this.#loading.set(object, loading.set(segmentNumber, all));
    object.load(segmentNumber, {
      puller: waiting.face,
      isWaiting: () => all.some(isPending),
      done: () => {
        loading.delete(segmentNumber);
        if (loading.size === 0) this.#loading.delete(object);
        this.#waiting -= all.length;
        this.#sendToAll(object, segmentNumber, all);
      },
    });
  }

  #sendToAll(object: SegmentedObject, n: number, all: readonly PendingInterest[]): void {
    let isLost = false;
    for (const waiting of all) {
      const { face, token } = waiting;
      const payload = isPending(waiting) ? object.locate(n) : undefined;
      if (payload !== undefined) this.#send(object, n, payload, face, token, 0, token.length);
      else isLost = true;
    }
    if (isLost && !object.isCurrent) this.#closeObject(object); // the next Interest's hint decides where to look
  }

  #remember(segmentNumber: number, face: Face, token: Buffer, from: number, to: number): PendingInterest | undefined {
    if (this.#waiting >= maxWaiting) {
      this.counters.dropped++;
      return undefined;
    }
    return { face, token: Buffer.from(token.subarray(from, to)), segmentNumber, askedAtMs: performance.now() };
  }

  #answerByDirectory(view: PacketView, face: Face): void {
    const { buf, nameStart, nameEnd, tokenStart, tokenEnd } = view;
    const interest = readInterest(view);
    const name = withoutImplicitDigest(Buffer.from(buf.subarray(nameStart, nameEnd)));
    const request = interest && name && this.#directory.lookup(name, interest);
    if (request === undefined) return;
    const { segment } = request;
    const object = segment && this.#open.get(nameKey(segment.object));
    if (object) {
      this.#answerSegment(object, segment.number, face, buf, tokenStart, tokenEnd);
      return;
    }
    const waiting = this.#remember(segment?.number ?? -1, face, buf, tokenStart, tokenEnd);
    if (waiting) void this.#answerWhenOpen(request, waiting);
  }

  /** Interests with the same key wait for one answer. */
  async #answerWhenOpen(request: Request, waiting: PendingInterest): Promise<void> {
    const others = this.#opening.get(request.key);
    if (others) {
      if (join(others, waiting)) this.#waiting++;
      return;
    }
    if (this.#opening.size >= maxOpening) {
      this.counters.dropped++;
      return;
    }
    const all = [waiting];
    this.#waiting++;
    this.#opening.set(request.key, all);
    const answer = await request.answer().catch(() => undefined);
    this.#opening.delete(request.key);
    this.#waiting -= all.length;
    if (answer === undefined) return;
    if (Buffer.isBuffer(answer)) {
      for (const { face, token } of all) sendPacket(answer, face, token);
      return;
    }
    this.#keepOpen(nameKey(request.segment!.object), answer);
    for (const { segmentNumber, face, token } of all) {
      this.#answerSegment(answer, segmentNumber, face, token, 0, token.length);
    }
  }

  #keepOpen(key: string, object: SegmentedObject): void {
    this.#open.set(key, object);
    this.#sweeping ??= setInterval(() => this.#sweep(), sweepMs).unref();
    if (this.#open.size <= maxOpenObjects) return;
    const [oldest] = this.#open.keys();
    this.#open.delete(oldest!);
  }

  #closeObject(object: SegmentedObject): void {
    for (const [key, open] of this.#open) if (open === object) this.#open.delete(key);
  }

  #sweep(): void {
    for (const [key, object] of this.#open) if (!object.isCurrent) this.#open.delete(key);
    if (this.#open.size > 0) return;
    clearInterval(this.#sweeping);
    this.#sweeping = undefined;
  }
}

/** Answer with a ready packet, under the PIT token of the Interest. */
function sendPacket(packet: Buffer, face: Face, token: Buffer): void {
  const at = face.reserve(maxLpHeaderBytes + packet.length);
  const packetAt = writeLpHeader(face.buffer, at, token, 0, token.length, packet.length);
  face.commit(packetAt + packet.copy(face.buffer, packetAt));
}
