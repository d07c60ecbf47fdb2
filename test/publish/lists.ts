/** Asking a server for digest lists, and what has to be in them. */
import { Certificate, createVerifier } from "@ndn/keychain";
import { Data, type Verifier } from "@ndn/packet";
import { Decoder } from "@ndn/tlv";
import type { Registry } from "prom-client";
import {
  digestListName,
  digestListRange,
  lastSegmentOf,
  objectName,
  repositoryName,
  type SegmentSize,
} from "#blob/names.ts";
import { joinName, segment } from "#ndn/packet/name.ts";
import type { Identity } from "#ndn/trust/keychain.ts";
import type { Digest } from "#oci/reference.ts";
import { prefix, type Reader } from "./serving.ts";

export const repository = "team/app";
const asked = { isExact: true, forwardingHint: repositoryName(prefix, repository) };

/** List `i` of a blob, as every consumer gets it. */
export function fetchList(reader: Reader, digest: Digest, i: number, size: SegmentSize = 8192, isUnique = false) {
  const name = digestListName(objectName(prefix, digest, size), i);
  return reader.get(name, { ...asked, isUnique });
}

/** All lists of a blob. */
export async function fetchLists(reader: Reader, digest: Digest, sizeBytes: number, size: SegmentSize = 8192) {
  const lists: Data[] = [];
  const lastSegment = lastSegmentOf(sizeBytes, size);
  for (let i = 0; digestListRange(i, lastSegment).start <= lastSegment; i++) {
    lists.push(await fetchList(reader, digest, i, size));
  }
  return lists;
}

/** Implicit digests of all segments, as NDNts computes them of what the server sends. */
export async function segmentDigests(reader: Reader, digest: Digest, sizeBytes: number, size: SegmentSize) {
  const digests: Uint8Array[] = [];
  for (let n = 0; n <= lastSegmentOf(sizeBytes, size); n++) {
    const name = joinName(objectName(prefix, digest, size), segment(n));
    const data = await reader.get(name, asked);
    digests.push(await data.computeImplicitDigest());
  }
  return Buffer.concat(digests);
}

/** What lists say, one after another. */
export function contentOf(lists: readonly Data[]): Buffer {
  return Buffer.concat(lists.map(({ content }) => content));
}

/** NDNts verifying with the key in the certificate of `identity`. */
export async function verifierOf(identity: Identity): Promise<Verifier> {
  const certificate = Certificate.fromData(new Decoder(identity.certificate).decode(Data));
  return createVerifier(certificate);
}

/** How many lists came from where. */
export async function origins(metrics: Registry): Promise<Record<string, number>> {
  const metric = await metrics.getSingleMetric("ndn_registry_server_digest_lists_total")!.get();
  return Object.fromEntries(metric.values.map(({ labels, value }) => [labels.origin, value]));
}
