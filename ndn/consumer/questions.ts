/**
 * Asking for single packets over an uplink: metadata, digest lists, certificates. What is asked for segment after
 * segment is fetched by `SegmentConsumer`.
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

/** How something is asked. */
export interface Question {
  /** Only this very name will do, and it need not be fresh: its content never changes. @defaultValue false */
  readonly isExact?: boolean;
  readonly forwardingHint?: Name;
  /** Random ApplicationParameters make the name one that no cache can have an answer to. @defaultValue false */
  readonly isUnique?: boolean;
  /** Only the packet of this name with this sha256 will do: it is asked for by its full name. */
  readonly sha256?: Uint8Array;
}

/** How long one question may take: asked again after each `rtoMs`, given up after `timeoutMs`. */
export interface Patience {
  readonly rtoMs: number;
  readonly timeoutMs: number;
}

/** A question under way. */
interface Asked {
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

/** Questions over one uplink; the end of its face ends all that are under way. */
export class Questions implements PacketHandler {
  private readonly uplink: Uplink;
  private readonly asked = new Set<Asked>();
  private readonly fields = new DataFields();

  constructor(uplink: Uplink) {
    this.uplink = uplink;
    uplink.addHandler(this);
    uplink.addListener({
      onDown: (reason) => {
        const err = new Error(`face went down: ${reason?.message ?? "closed"}`);
        for (const { reject } of this.asked) reject(err);
      },
    });
  }

  /** Takes what somebody has asked for. */
  accept(view: PacketView): boolean {
    if (this.asked.size === 0) return false;
    return view.nackReason === undefined ? this.answered(view) : this.nacked(view, view.nackReason);
  }

  /**
   * The packet that answers, as a copy: whoever takes it decides whether to believe it.
   * @throws Error when there is none in time, no face is up or it goes down, or there is no route; the reason of
   * `signal` when that fires.
   */
  async ask(name: Name, { rtoMs, timeoutMs }: Patience, signal: AbortSignal, question: Question = {}): Promise<Buffer> {
    signal.throwIfAborted();
    if (this.uplink.face === undefined) throw new Error("no face is up");
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    const { encode, ...match } = interestFor(name, timeoutMs, question);
    const asked = { ...match, resolve, reject };
    const send = () => this.uplink.face?.send(encode());
    const onAbort = () => reject(signal.reason);
    const deadline = setTimeout(() => reject(new Error(`timeout: no answer within ${timeoutMs} ms`)), timeoutMs);
    const retransmission = setInterval(send, rtoMs);
    signal.addEventListener("abort", onAbort, { once: true });
    this.asked.add(asked);
    try {
      send();
      return await promise;
    } finally {
      this.asked.delete(asked);
      signal.removeEventListener("abort", onAbort);
      clearInterval(retransmission);
      clearTimeout(deadline);
    }
  }

  private answered(view: PacketView): boolean {
    if (view.type !== TT.Data) return false;
    const named = [...this.asked].filter((asked) => isNamedBy(asked, view));
    if (named.length === 0 || !this.fields.read(view)) return false;
    const packet = Buffer.from(view.buf.subarray(view.start, view.end));
    const digest = named.some(({ sha256 }) => sha256) ? hash("sha256", packet, "buffer") : undefined;
    const answered = named.filter(({ sha256 }) => !sha256 || digest?.equals(sha256));
    for (const { resolve } of answered) resolve(packet);
    return answered.length > 0;
  }

  /** "No route" is final for now; the other reasons say that asking again may help, which the retransmissions do. */
  private nacked({ buf, nameStart, nameEnd }: PacketView, reason: number): boolean {
    const named = [...this.asked].filter(({ interestName }) => interestName.compare(buf, nameStart, nameEnd) === 0);
    if (nackReasons[reason] === "NoRoute") {
      for (const { reject } of named) reject(new Error("Nack: the forwarder has no route"));
    }
    return named.length > 0;
  }
}

function isNamedBy({ name, isPrefix }: Asked, { buf, nameStart, nameEnd }: PacketView): boolean {
  const end = isPrefix ? Math.min(nameEnd, nameStart + name.length) : nameEnd;
  return name.compare(buf, nameStart, end) === 0;
}

/** The Interest, with a fresh Nonce each time it is encoded, and what answers it. */
function interestFor(name: Name, timeoutMs: number, { isExact, forwardingHint, isUnique, sha256 }: Question) {
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
  return { name: dataName, isPrefix, sha256, interestName, encode: () => encodeInterest(interestName, fields) };
}
