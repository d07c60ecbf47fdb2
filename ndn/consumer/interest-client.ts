/**
 * Expresses Interests for single packets over an uplink: metadata, digest lists, certificates. What is fetched segment
 * after segment goes through `SegmentConsumer`.
 *
 * With an anchor every 250th packet is a digest list that is asked for here: done by NDNts' own consumer, that was a
 * tenth of what the main thread did for a blob (`npm run bench -- --only checked`).
 */
import { hash, randomBytes } from "node:crypto";
import type { PacketHandler } from "../face/face.ts";
import type { Uplink } from "../face/uplink.ts";
import { DataFields } from "../packet/data.ts";
import { encodeInterest, interestLifetimeMs, nameOfParameters } from "../packet/interest.ts";
import { fullName, type Name } from "../packet/name.ts";
import { nackReasons, type PacketView } from "../packet/packet-view.ts";
import { TT, tlv } from "../packet/tlv.ts";
import { RetrySchedule } from "./retry-schedule.ts";

/** What an Interest asks for, beside its name. */
export interface InterestOptions {
  /** Only this very name will do, and it need not be fresh: its content never changes. @defaultValue false */
  readonly isExact?: boolean;
  readonly forwardingHint?: Name;
  /** Random ApplicationParameters make the name one that no cache can have an answer to. @defaultValue false */
  readonly isUnique?: boolean;
  /** Only the packet of this name with this sha256 will do: it is asked for by its full name. */
  readonly sha256?: Uint8Array;
}

/** How long an Interest may take. */
export interface RetryLimits {
  /** Without an answer it is given up then. */
  readonly timeoutMs: number;
  /** Asked after so many milliseconds, at each `timeoutMs`: whether to wait for as long again. @defaultValue never */
  readonly isPatient?: (waitedMs: number) => boolean;
  /** Says when it is sent again, and learns from the answer. @defaultValue one for all that the uplink leads to */
  readonly schedule?: RetrySchedule;
}

/** What has been sent, and what answers it. */
interface PendingInterest {
  /** What the name of an answer begins with, or is. */
  readonly name: Name;
  readonly isPrefix: boolean;
  readonly sha256: Uint8Array | undefined;
  /** What the Interest says, which a Nack brings back. */
  readonly interestName: Name;
  readonly resolve: (packet: Buffer) => void;
  readonly reject: (reason: Error) => void;
}

const parameterBytes = 16;

/** The pending Interests of one uplink; the end of its face ends them all. */
export class InterestClient implements PacketHandler {
  readonly #uplink: Uplink;
  readonly #pending = new Set<PendingInterest>();
  readonly #fields = new DataFields();
  readonly #schedule = new RetrySchedule();

  constructor(uplink: Uplink) {
    this.#uplink = uplink;
    uplink.addHandler(this);
    uplink.addListener({
      onDown: (reason) => {
        const err = new Error(`face went down: ${reason?.message ?? "closed"}`);
        for (const { reject } of this.#pending) reject(err);
      },
    });
  }

  /** Takes what answers a pending Interest. */
  accept(view: PacketView): boolean {
    if (this.#pending.size === 0) return false;
    return view.nackReason === undefined ? this.#answered(view) : this.#nacked(view, view.nackReason);
  }

  /**
   * Express an Interest.
   * @returns the packet that answers, as a copy; whether to trust it is for the caller to decide.
   * @throws Error when there is none in time, no face is up or it goes down, or there is no route; the reason of
   * `signal` when that fires.
   */
  async express(
    name: Name,
    { timeoutMs, isPatient = () => false, schedule = this.#schedule }: RetryLimits,
    signal: AbortSignal,
    options: InterestOptions = {},
  ): Promise<Buffer> {
    signal.throwIfAborted();
    if (this.#uplink.face === undefined) throw new Error("no face is up");
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    const { fields, ...match } = interestFor(name, timeoutMs, options);
    const pending = { ...match, resolve, reject };
    const delays = schedule.delays();
    let retransmission: NodeJS.Timeout | undefined;
    let sentAtMs = Number.NaN;
    const send = () => {
      sentAtMs = performance.now();
      this.#uplink.face?.send(encodeInterest(pending.interestName, fields)); // with a fresh Nonce
      retransmission = setTimeout(send, delays.next().value);
    };
    const onAbort = () => reject(signal.reason);
    let waitedMs = 0;
    const deadline = setInterval(() => {
      waitedMs += timeoutMs;
      if (!isPatient(waitedMs)) reject(new Error(`timeout: no answer within ${waitedMs} ms`));
    }, timeoutMs);
    signal.addEventListener("abort", onAbort, { once: true });
    this.#pending.add(pending);
    try {
      send();
      const firstSentAtMs = sentAtMs;
      const packet = await promise;
      const nowMs = performance.now();
      // A list is made for its first asker: how long that takes says nothing about the path.
      if (!options.isExact) schedule.answered(nowMs - firstSentAtMs, nowMs - sentAtMs);
      return packet;
    } finally {
      this.#pending.delete(pending);
      signal.removeEventListener("abort", onAbort);
      clearTimeout(retransmission);
      clearInterval(deadline);
    }
  }

  #answered(view: PacketView): boolean {
    if (view.type !== TT.Data) return false;
    let isTaken = false;
    let packet: Buffer | undefined;
    let digest: Buffer | undefined;
    for (const pending of this.#pending) {
      if (!isNamedBy(pending, view)) continue;
      if (packet === undefined && !this.#fields.read(view)) return false;
      packet ??= Buffer.from(view.buf.subarray(view.start, view.end));
      if (pending.sha256) {
        digest ??= hash("sha256", packet, "buffer");
        if (!digest.equals(pending.sha256)) continue;
      }
      pending.resolve(packet);
      isTaken = true;
    }
    return isTaken;
  }

  /** "No route" is final for now; the other reasons say that asking again may help, which the retransmissions do. */
  #nacked({ buf, nameStart, nameEnd }: PacketView, reason: number): boolean {
    let isTaken = false;
    for (const { interestName, reject } of this.#pending) {
      if (interestName.compare(buf, nameStart, nameEnd) !== 0) continue;
      if (nackReasons[reason] === "NoRoute") reject(new Error("Nack: the forwarder has no route"));
      isTaken = true;
    }
    return isTaken;
  }
}

function isNamedBy({ name, isPrefix }: PendingInterest, { buf, nameStart, nameEnd }: PacketView): boolean {
  const end = isPrefix ? Math.min(nameEnd, nameStart + name.length) : nameEnd;
  return name.compare(buf, nameStart, end) === 0;
}

/** What the Interest says, and what answers it. */
function interestFor(name: Name, timeoutMs: number, { isExact, forwardingHint, isUnique, sha256 }: InterestOptions) {
  const isPrefix = !isExact && !sha256;
  const parameters = isUnique ? tlv(TT.ApplicationParameters, randomBytes(parameterBytes)) : undefined;
  const dataName = parameters ? nameOfParameters(name, parameters) : name;
  const interestName = sha256 ? fullName(dataName, sha256) : dataName;
  const fields = {
    canBePrefix: isPrefix,
    mustBeFresh: isPrefix,
    lifetimeMs: Math.max(timeoutMs, interestLifetimeMs),
    ...(forwardingHint && { forwardingHint }),
    ...(parameters && { parameters }),
  };
  return { name: dataName, isPrefix, sha256, interestName, fields };
}
