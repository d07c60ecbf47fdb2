/**
 * Certificates under another's name, as anyone can put them into a cache.
 */
import { Data, type Name } from "@ndn/packet";
import { Decoder } from "@ndn/tlv";
import { type Authority, wireOf } from "./authority.ts";

const hourMs = 3_600_000;

/** A fresh certificate with the name and validity of `certificate`, but the key of `forger`, which has signed it. */
export async function forgeryOf(
  certificate: Uint8Array,
  forger: Authority,
  locator: string | Name = forger.name,
): Promise<Buffer> {
  const data = new Decoder(certificate).decode(Data);
  data.freshnessPeriod = hourMs;
  data.content = forger.certificate.publicKeySpki;
  await forger.signer(locator).sign(data);
  return wireOf(data);
}
