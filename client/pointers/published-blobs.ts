/**
 * Whether a blob is published, so that everyone may have it: the server says so in metadata under its repository.
 */
import { decodeBlobMetadata } from "#blob/blob-metadata.ts";
import { metadataName } from "#blob/names.ts";
import type { BlobRef } from "#blob/source.ts";
import { contentTypes } from "#ndn/packet/data.ts";
import type { Name } from "#ndn/packet/name.ts";
import type { SignedData } from "#ndn/trust/signed-data.ts";
import { NoAnswer } from "#uplinks/signed-objects.ts";
import { absentIn, askUntilBelieved, type PointerReaderOptions, type Word } from "./pointer-reader.ts";

/** So old the server's word may be. */
const maxAgeMs = 60_000;

/** The size of a blob that is published in this repository; undefined when it is not, or no one says so. */
export async function publishedSize(
  { objects, clocks }: Pick<PointerReaderOptions, "objects" | "clocks">,
  blob: BlobRef,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { prefix } = objects;
  const name = metadataName(prefix, blob.repository, blob.digest);
  try {
    return await askUntilBelieved({ objects, clocks, maxAgeMs }, name, (data) => sizeIn(prefix, blob, data), signal);
  } catch (err: unknown) {
    if (err instanceof NoAnswer) return undefined;
    throw err;
  }
}

function sizeIn(prefix: Name, { digest }: BlobRef, data: SignedData): Word<number> | undefined {
  const absent = absentIn(data);
  if (absent) return absent;
  const metadata =
    data.contentType === contentTypes.Blob ? decodeBlobMetadata(prefix, digest, data.content) : undefined;
  const { timeMs } = data.signature;
  if (!metadata || timeMs === undefined) return undefined;
  return { value: metadata.sizeBytes, digest, timeMs, maxAgeMs };
}
