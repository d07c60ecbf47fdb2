/**
 * The bound on work that is done twice: so many hedged reads may ask the upstream at a time, the others wait in line.
 */

/** A place in the line. */
export interface HedgeSlot {
  /** Resolves when the upstream may be asked. */
  readonly ready: Promise<void>;
  /** Leave, at the head of the line or before; may be called more than once. */
  readonly release: () => void;
}

/** Places for hedged reads, shared by all reads of an endpoint. */
export class HedgeSlots {
  private free: number;
  private readonly line: { admit(): void }[] = [];

  /** @param count - Upstream GETs that may be hedges at a time. @defaultValue 8 */
  constructor(count = 8) {
    this.free = count;
  }

  /** Stand in line; the caller releases the slot. */
  take(): HedgeSlot {
    const { promise: ready, resolve: admit } = Promise.withResolvers<void>();
    const waiter = { admit };
    this.line.push(waiter);
    this.advance();
    let isReleased = false;
    const release = () => {
      if (isReleased) return;
      isReleased = true;
      const place = this.line.indexOf(waiter);
      if (place >= 0) this.line.splice(place, 1);
      else this.free++;
      this.advance();
    };
    return { ready, release };
  }

  private advance(): void {
    while (this.free > 0 && this.line.length > 0) {
      this.free--;
      this.line.shift()!.admit();
    }
  }
}
