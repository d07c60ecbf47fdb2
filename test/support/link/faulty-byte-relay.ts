/** A relay of bytes for TCP that does something bad to a connection when so many bytes have gone to the client. */
import type { Socket } from "node:net";
import { pipedRelay } from "./piped-relay.ts";

/** What happens to a connection, in the direction to the client. */
export interface ByteFault {
  /** `cut` is a clean end before its time, `stall` silence without an end, `corrupt` one changed byte. */
  readonly kind: "cut" | "reset" | "stall" | "corrupt";
  readonly afterBytes: number;
}

/** A running relay. */
export interface FaultyByteRelay extends AsyncDisposable {
  readonly port: number;
  /** Faults that have happened. */
  readonly happened: number;
}

/**
 * Start the relay on 127.0.0.1.
 *
 * @param faultOf - Asked once for each connection; undefined leaves it alone.
 */
export async function startFaultyByteRelay(
  target: { readonly host: string; readonly port: number },
  faultOf: () => ByteFault | undefined,
): Promise<FaultyByteRelay> {
  let happened = 0;
  const { port, close } = await pipedRelay(target, (far, near) => {
    relayDown(far, near, faultOf(), () => (happened += 1));
  });
  return {
    port,
    get happened() {
      return happened;
    },
    [Symbol.asyncDispose]: close,
  };
}

function relayDown(far: Socket, near: Socket, fault: ByteFault | undefined, onFault: () => void): void {
  let sent = 0;
  let isDone = fault === undefined;
  far.on("data", (piece: Buffer) => {
    const begin = sent;
    sent += piece.length;
    let onward = piece;
    if (fault !== undefined && !isDone && sent > fault.afterBytes) {
      isDone = true;
      onFault();
      const at = fault.afterBytes - begin;
      if (fault.kind === "corrupt") onward = changed(piece, at);
      else return strike(far, near, piece.subarray(0, at), fault.kind);
    }
    if (near.write(onward)) return;
    far.pause();
    near.once("drain", () => far.resume());
  });
}

function strike(far: Socket, near: Socket, last: Buffer, kind: "cut" | "reset" | "stall"): void {
  far.removeAllListeners("data");
  far.pause();
  if (kind === "stall") {
    near.write(last);
    return;
  }
  near.write(last, () => {
    if (kind === "reset") near.resetAndDestroy();
    else near.end();
    far.destroy();
  });
}

function changed(piece: Buffer, at: number): Buffer {
  const copy = Buffer.from(piece);
  copy[at]! ^= 0xff;
  return copy;
}
