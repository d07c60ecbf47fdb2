/**
 * Interests that a producer cannot answer at once.
 */
import type { Face } from "./face/face.ts";
import { interestLifetimeMs } from "./packet/interest.ts";

/** Interests among which a retransmission is looked for: more would be a stranger's work for us. */
const maxCompared = 64;

/** An Interest that waits for what is being read. */
export interface PendingInterest {
  /** Where it came from, and the answer goes. */
  readonly face: Face;
  /** Its PIT token; empty when it has none. */
  readonly token: Buffer;
  readonly segmentNumber: number;
  /** When it came, or came again. */
  askedAtMs: number;
}

/** Whether its face is there, and it was sent within the usual lifetime. */
export function isPending({ askedAtMs, face }: PendingInterest): boolean {
  return !face.isGone && performance.now() - askedAtMs < interestLifetimeMs;
}

/** Let an Interest wait with others; false for a retransmission of one of them, which the same answer will answer. */
export function join(others: PendingInterest[], one: PendingInterest): boolean {
  for (let i = Math.max(0, others.length - maxCompared); i < others.length; i++) {
    const other = others[i]!;
    if (other.segmentNumber !== one.segmentNumber || other.face !== one.face || !other.token.equals(one.token))
      continue;
    other.askedAtMs = one.askedAtMs;
    return false;
  }
  others.push(one);
  return true;
}
