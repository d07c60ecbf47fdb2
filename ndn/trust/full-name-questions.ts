/**
 * Asks for a packet by its full name, which ends in its digest: no cache can answer that with another packet, and every
 * producer can answer it. The slow lane cannot ask so, as NDNts finds no pending Interest by the full name of a Data.
 */
import { hash } from "node:crypto";
import type { PacketHandler } from "../face.ts";
import { encodeInterest } from "../interest.ts";
import { fullName, type Name, nameKey } from "../name.ts";
import type { PacketView } from "../packet-view.ts";
import { raceAbort } from "../race-abort.ts";
import { TT } from "../tlv.ts";
import type { Uplink } from "../uplink.ts";

/** Questions over one uplink; to be made before its slow lane, which takes every packet. */
export class FullNameQuestions implements PacketHandler {
  private readonly uplink: Uplink;
  /** Who waits, by full name. */
  private readonly waiting = new Map<string, Set<(packet: Buffer) => void>>();

  constructor(uplink: Uplink) {
    this.uplink = uplink;
    uplink.addHandler(this);
  }

  /** Looks at packets while something is asked, and leaves them to others, who may have asked by the name alone. */
  accept({ type, buf, start, end, nameStart, nameEnd }: PacketView): boolean {
    if (this.waiting.size === 0 || type !== TT.Data) return false;
    const packet = buf.subarray(start, end);
    const full = fullName(buf.subarray(nameStart, nameEnd), hash("sha256", packet, "buffer"));
    for (const take of this.waiting.get(nameKey(full)) ?? []) take(Buffer.from(packet));
    return false;
  }

  /**
   * The packet `name` with this sha256; the Interest is sent again after each `rtoMs`.
   * @throws Error when it has not come within `timeoutMs`, or `signal` fires.
   */
  async ask(name: Name, sha256: Uint8Array, rtoMs: number, timeoutMs: number, signal: AbortSignal): Promise<Buffer> {
    const full = fullName(name, sha256);
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const { promise, resolve } = Promise.withResolvers<Buffer>();
    const key = nameKey(full);
    const all = this.waiting.get(key) ?? new Set();
    this.waiting.set(key, all.add(resolve));
    const send = () => this.uplink.face?.send(encodeInterest(full));
    send();
    const timer = setInterval(send, rtoMs);
    try {
      return await raceAbort(promise, deadline);
    } finally {
      clearInterval(timer);
      all.delete(resolve);
      if (all.size === 0 && this.waiting.get(key) === all) this.waiting.delete(key);
    }
  }
}
