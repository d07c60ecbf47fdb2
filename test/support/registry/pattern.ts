/** Bytes to fill blobs with. */
import { createCipheriv, createHash } from "node:crypto";

/** `sizeBytes` bytes that do not compress; the same for the same size and seed, and a prefix of longer ones. */
export function patternBlob(sizeBytes: number, seed = 1): Buffer {
  const key = createHash("sha256").update(`pattern ${seed}`).digest().subarray(0, 16);
  // A counter-mode cipher over zeros is the fastest generator at hand: 100 MB in about 0.1 s.
  return createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes));
}

/** An uncompressed tar archive (POSIX ustar) of regular files: a layer that real pullers can unpack. */
export function tarLayer(files: Record<string, Buffer | string>): Buffer {
  const entries = Object.entries(files).flatMap(([path, content]) => tarEntry(path, Buffer.from(content)));
  return Buffer.concat([...entries, Buffer.alloc(1024)]);
}

function tarEntry(path: string, content: Buffer): Buffer[] {
  const header = Buffer.alloc(512);
  header.write(path, 0, 100);
  header.write("0000755\0", 100);
  header.write("0000000\0".repeat(2), 108);
  header.write(`${content.length.toString(8).padStart(11, "0")}\0`, 124);
  header.write("00000000000\0", 136);
  header.write("        0", 148); // the checksum counts as spaces; type "regular file"
  header.write("ustar\x0000", 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return [header, content, Buffer.alloc((512 - (content.length % 512)) % 512)];
}
