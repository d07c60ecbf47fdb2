import type { Face, PacketHandler } from "#ndn/face/face.ts";
import { type Name, nameKey, startsWith } from "#ndn/packet/name.ts";
import { PacketView } from "#ndn/packet/packet-view.ts";

/** In front of a producer: holds the Interests for some objects, each once, as a server does that waits for its registry. */
export class WithholdingProducer implements PacketHandler {
  /** Interests that came for objects that are held, with those that came again. */
  interests = 0;
  readonly #next: PacketHandler;
  readonly #objects = new Set<Name>();
  readonly #held = new Map<string, { view: PacketView; face: Face }>();

  constructor(next: PacketHandler) {
    this.#next = next;
  }

  /** Hold what comes for `object` from now on. */
  hold(object: Name): void {
    this.#objects.add(object);
  }

  /** Pass on what is held for `object`, in the order in which it came, at most `limit` Interests, and hold what follows. */
  pass(object: Name, limit: number): void {
    for (const [key, { view, face }] of [...this.#heldFor(object)].slice(0, limit)) {
      this.#held.delete(key);
      this.#next.accept(view, face);
    }
  }

  /** Pass on what is held for `object`, and hold no more of it. */
  release(object: Name): void {
    this.#objects.delete(object);
    this.pass(object, Number.POSITIVE_INFINITY);
  }

  /** Lose the first Interests that are held for `object`. */
  lose(object: Name, count: number): void {
    for (const [key] of [...this.#heldFor(object)].slice(0, count)) this.#held.delete(key);
  }

  *#heldFor(object: Name) {
    for (const entry of this.#held) if (startsWith(nameOf(entry[1].view), object)) yield entry;
  }

  accept(view: PacketView, face: Face): boolean {
    const name = nameOf(view);
    if (![...this.#objects].some((object) => startsWith(name, object))) return this.#next.accept(view, face);
    this.interests++;
    const key = nameKey(name);
    if (!this.#held.has(key)) this.#held.set(key, { view: copyOf(view), face });
    return true;
  }
}

function nameOf({ buf, nameStart, nameEnd }: PacketView): Buffer {
  return buf.subarray(nameStart, nameEnd);
}

/** A copy of a packet that may be looked at later. */
export function copyOf(view: PacketView): PacketView {
  const copy = new PacketView();
  const packet = Buffer.from(view.buf.subarray(view.start, view.end));
  copy.read(packet, 0, packet.length);
  return copy;
}
