/**
 * Writes blobs in a loop until it is killed: `store-child.ts DIRECTORY SEED MAX_BYTES`. Says `ready` when the store is
 * open, `committed` for every blob, `resumed N` when it continued with N bytes that were there, `wrong` when those were
 * not the blob's, and `named` when all that was committed until then has its name. Without arguments it ends.
 */
import { writeSync } from "node:fs";
import type { Digest } from "#oci/reference.ts";
import { BlobStore } from "#store/blob-store.ts";
import { digestOf, randomBytesOf } from "#test/support/random-bytes.ts";

const [directory = "", seed = "", maxBytes = ""] = process.argv.slice(2);
if (directory === "") process.exit(); // loaded, and so compiled, for the others
const say = (line: string) => writeSync(1, `${line}\n`);

const store = await BlobStore.open({
  directory,
  maxBytes: Number(maxBytes),
  log: { info: () => {}, warn: (fields: object) => say(`warned ${JSON.stringify(fields)}`) },
  pauseMs: 0,
});
say("ready");
const all = Array.from({ length: 30 }, (_, nth) => randomBytesOf(`child ${nth}`, 20_000 + ((nth * 7_919) % 200_000)));
for (const { digest } of store.partials) await writeOne(all.findIndex((bytes) => digestOf(bytes) === digest));
for (let turn = Number(seed); ; turn = (turn * 7 + 13) % 1009) await writeOne(turn % 30);

async function writeOne(nth: number): Promise<void> {
  const bytes = all[nth]!;
  const digest = digestOf(bytes) as Digest;
  const writer = await store.begin(digest, bytes.length);
  if (!writer) {
    const cached = await store.open(digest);
    return cached?.close();
  }
  const there = writer.writtenBytes;
  for await (const piece of writer.read(0, there)) check(piece, bytes);
  try {
    for (let at = there; at < bytes.length; at += 8_192) await writer.write(bytes.subarray(at, at + 8_192));
    await writer.commit();
    say("committed");
    void store.settled().then(() => say("named"));
    if (there > 0) say(`resumed ${there}`);
  } catch (err: unknown) {
    say(`failed ${(err as NodeJS.ErrnoException).code}`);
  } finally {
    await writer.close(true);
  }
}

function check(piece: Uint8Array, bytes: Buffer): void {
  if (bytes.indexOf(piece) !== 0) say("wrong");
}
