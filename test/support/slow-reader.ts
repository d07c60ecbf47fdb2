import { createHash } from "node:crypto";
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";

/** What a GET brought, whole or not. */
export interface Fetched {
  readonly digest: string;
  readonly sizeBytes: number;
  /** Whether Content-Length bytes arrived and the connection was not broken off. */
  readonly isComplete: boolean;
}

/** A response whose body is read as fast as the test says. */
export interface SlowReader {
  readonly response: IncomingMessage;
  /** Read about this many bytes more, then stop reading: TCP holds the sender back. */
  read(bytes: number): Promise<void>;
  /** Read to the end, clean or not. */
  finish(): Promise<Fetched>;
}

/** GET without reading ahead. */
export async function openSlowly(url: string): Promise<SlowReader> {
  const request = get(url, { agent: false });
  const [response] = (await once(request, "response")) as [IncomingMessage];
  const hash = createHash("sha256");
  let sizeBytes = 0;
  let wanted = { upToBytes: Number.POSITIVE_INFINITY, reached: () => {} };
  response.on("data", (piece: Buffer) => {
    hash.update(piece);
    sizeBytes += piece.length;
    if (sizeBytes >= wanted.upToBytes) wanted.reached();
  });
  response.on("close", () => wanted.reached());
  response.pause();
  const read = async (bytes: number) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    wanted = { upToBytes: sizeBytes + bytes, reached: resolve };
    response.resume();
    if (!response.closed) await promise;
    response.pause();
  };
  const finish = async () => {
    response.on("error", () => undefined); // broken off: isComplete tells
    response.resume();
    if (!response.closed) await once(response, "close").catch(() => undefined);
    return { digest: `sha256:${hash.digest("hex")}`, sizeBytes, isComplete: response.complete };
  };
  return { response, read, finish };
}

/** GET a blob to its end. */
export async function fetchBlob(endpoint: string, repository: string, digest: string): Promise<Fetched> {
  return (await openSlowly(blobUrl(endpoint, repository, digest))).finish();
}

/** `<endpoint>/v2/<repository>/blobs/<digest>` */
export function blobUrl(endpoint: string, repository: string, digest: string): string {
  return `${endpoint}/v2/${repository}/blobs/${digest}`;
}
