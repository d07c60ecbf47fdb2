/**
 * Data that is signed: metadata and negative answers, once per blob rather than once per segment.
 */
import { Data, Name as NdnName, SigInfo, type Signer } from "@ndn/packet";
import { Encoder } from "@ndn/tlv";
import type { Name } from "./name.ts";

/** Encode and sign a Data with SignatureTime; freshness in milliseconds. */
export async function encodeSignedData(
  name: Name,
  options: { contentType: number; freshnessMs: number; content: Uint8Array; finalBlockIsLast?: boolean },
  signer: Signer,
): Promise<Buffer> {
  const data = new Data(
    new NdnName(name),
    Data.ContentType(options.contentType),
    Data.FreshnessPeriod(options.freshnessMs),
    options.content,
  );
  if (options.finalBlockIsLast) data.isFinalBlock = true;
  data.sigInfo = new SigInfo(SigInfo.Time());
  await signer.sign(data);
  return Buffer.from(Encoder.encode(data));
}
