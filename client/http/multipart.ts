/** Several ranges of a blob in one answer (RFC 9110 § 14.6). */
import { randomBytes } from "node:crypto";
import { formatContentRange } from "#oci/body-headers.ts";
import type { Part } from "./semantics.ts";

/** The framing of a `multipart/byteranges` body: the payload of part `i` belongs between `heads[i]` and the next. */
export interface Multipart {
  readonly contentType: string;
  /** Of the whole body, in bytes. */
  readonly contentLength: number;
  readonly heads: readonly Buffer[];
  readonly tail: Buffer;
}

/** Frame these parts of something of `sizeBytes`. */
export function multipartOf(parts: readonly Part[], sizeBytes: number): Multipart {
  const boundary = randomBytes(30).toString("hex");
  const heads = parts.map((part, i) => {
    const fields = `Content-Range: ${formatContentRange(part, sizeBytes)}\r\nContent-Type: application/octet-stream`;
    return Buffer.from(`${i === 0 ? "" : "\r\n"}--${boundary}\r\n${fields}\r\n\r\n`);
  });
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  const payloadBytes = parts.reduce((sum, { start, end }) => sum + end - start, 0);
  const contentLength = [...heads, tail].reduce((sum, { length }) => sum + length, payloadBytes);
  return { contentType: `multipart/byteranges; boundary=${boundary}`, contentLength, heads, tail };
}
