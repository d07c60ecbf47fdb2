import type { Body } from "#oci/direct-get.ts";

/** All bytes of a body; the memory that it is read into has `spaceBytes`. */
export async function readBody(body: Body, spaceBytes = 1000): Promise<Buffer> {
  const pieces: Buffer[] = [];
  const space = Buffer.alloc(spaceBytes);
  await body.pourInto({
    space: () => space,
    filled(bytes) {
      pieces.push(Buffer.from(space.subarray(0, bytes)));
      return true;
    },
  });
  return Buffer.concat(pieces);
}
