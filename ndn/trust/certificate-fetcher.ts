/**
 * Gets certificates from the network through the slow lane of an uplink.
 */
import { Encoder } from "@ndn/tlv";
import type { ControlPlane } from "../control-plane.ts";
import type { FetchCertificate } from "./certificate-fetches.ts";

const retransmitAfterMs = 1_000;
const giveUpAfterMs = 4_000;

/** A fetch that gives up after 4 s. */
export function certificateFetcher(plane: Pick<ControlPlane, "express">): FetchCertificate {
  return async (name, signal) => Encoder.encode(await plane.express(name, retransmitAfterMs, giveUpAfterMs, signal));
}
