/**
 * Bodies that are read whole into memory, manifests and lists: bounded, without the codings that a proxy has put on them.
 */
import { decoded } from "./body-headers.ts";
import { RegistryUnreachable } from "./errors.ts";
import type { RegistryResponse } from "./registry-client.ts";

/** Refusals that mean "not here, or not for everyone": an answer, not a failure. */
const absentStatuses: ReadonlySet<number> = new Set([401, 403, 404]);

/** Whether a status says that there is no such thing, or none that the one who asked may see. */
export function isAbsent(status: number): boolean {
  return absentStatuses.has(status);
}

/**
 * The whole body, which is closed whatever happens.
 *
 * @param what - For messages: what was asked for.
 * @throws RegistryUnreachable when it breaks off, is longer than `maxBytes`, or encoded in a way that is not known.
 */
export async function readSmallBody(response: RegistryResponse, maxBytes: number, what: string): Promise<Buffer> {
  const body = decoded(response);
  try {
    if (body === undefined) throw new RegistryUnreachable(`${what} is encoded in an unknown way`);
    const pieces: Buffer[] = [];
    let sizeBytes = 0;
    for await (const piece of body as AsyncIterable<Buffer>) {
      sizeBytes += piece.length;
      if (sizeBytes > maxBytes) throw new RegistryUnreachable(`${what} has more than ${maxBytes} bytes`);
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  } finally {
    response.body.destroy();
  }
}
