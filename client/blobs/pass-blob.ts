import { limitedStream } from "#blob/bandwidth.ts";
import { isEncoded } from "#oci/body-headers.ts";
import { type Digest, parseSha256 } from "#oci/reference.ts";
import type { Patience } from "#oci/registry-client.ts";
import { etagOf, provenance, sendVerdict, writeAll } from "../http/answers.ts";
import { endToEnd, judgeConditions } from "../http/semantics.ts";
import { learnRight } from "../rights/learn-right.ts";
import { isFailure } from "../upstream/upstream-question.ts";
import type { BlobRequest, PassServices } from "./blob-request.ts";

const passedOn = [
  "accept",
  "range",
  "if-match",
  "if-none-match",
  "if-modified-since",
  "if-unmodified-since",
  "if-range",
];

/**
 * Answer a GET of a blob with what the upstream says to the same question: other ranges, conditions, other digest
 * algorithms. Redirects are followed here, so that the puller sees one registry.
 *
 * @param patientWith - For what the upstream may take as long as the puller waits.
 * @throws RegistryUnreachable
 */
export async function passBlob(
  services: PassServices,
  blob: BlobRequest,
  digest: string,
  patientWith: Patience,
): Promise<void> {
  const { request, response, repository, puller, signal, record } = blob;
  const { registry, bandwidth, rights } = services;
  const etag = etagOf(digest);
  // The registry may know the blob by another tag: these conditions are met.
  const isMet = (name: string) => ["if-match", "if-range"].includes(name) && request.headers[name] === etag;
  const isPassed = (name: string) => request.headers[name] !== undefined && !isMet(name);
  const headers = Object.fromEntries(passedOn.filter(isPassed).map((name) => [name, String(request.headers[name])]));
  // Another algorithm is no `Digest` of ours, but the registry knows what it is.
  const question = { auth: puller.auth, headers, patientWith, signal };
  const answer = await registry.getBlob(repository, digest as Digest, question);
  learnRight(rights, { puller, repository, digest }, answer.status);
  const isBlob = answer.status === 200 || answer.status === 206;
  const extra = isBlob ? { "docker-content-digest": digest } : {};
  const tag = isBlob && parseSha256(digest) ? { etag } : {}; // as all answers of such a blob have it here
  const all = { ...extra, ...endToEnd(answer.headers), ...tag, ...provenance("upstream", "bypass") };
  if (answer.status === 204 || answer.status === 304) {
    answer.body.resume();
    return void response.writeHead(answer.status, all).end();
  }
  response.writeHead(answer.status, all);
  response.flushHeaders(); // docker-registry breaks off the bodies of its own refusals: the status must be out by then
  if (isBlob) record.result = "bypass";
  const length = Number(answer.headers["content-length"]);
  if (isBlob && length >= 0) record.sizeBytes = length;
  await writeAll<Uint8Array>(
    response,
    limitedStream(answer.body as AsyncIterable<Buffer>, bandwidth.upstream, signal),
    (chunk) => chunk,
    (chunk) => isBlob && record.wrote("upstream", chunk.length),
    signal,
  );
}

/**
 * Answer a HEAD of a blob with what the upstream says; an answer that says only that it is out of order or that the
 * puller's quota is used up is left to `inItsPlace` first, which says whether it has answered.
 *
 * @param patientWith - For what the upstream may take as long as the puller waits.
 * @throws RegistryUnreachable
 */
export async function passHead(
  { registry, rights }: PassServices,
  blob: Omit<BlobRequest, "record">,
  digest: string,
  patientWith: Patience | undefined,
  inItsPlace: () => Promise<boolean>,
): Promise<void> {
  const { request, response, repository, puller, signal } = blob;
  const question = { auth: puller.auth, patientWith, signal };
  const { status, headers } = await registry.headBlob(repository, digest as Digest, question);
  if (isFailure(status) && (await inItsPlace())) return;
  const sizeBytes = Number(headers["content-length"] ?? Number.NaN);
  const isBelieved = status === 200 || rights.believesHead;
  const isSaid = sizeBytes > 0 && !isEncoded(headers);
  if (isBelieved) learnRight(rights, { puller, repository, digest }, status, isSaid ? sizeBytes : undefined);
  const verdict = status === 200 ? judgeConditions(request.headers, etagOf(digest)) : undefined;
  if (verdict) return sendVerdict(response, verdict, { digest, source: "upstream" });
  const extra = status === 200 ? { "docker-content-digest": digest } : {};
  response.writeHead(status, { ...extra, ...endToEnd(headers), ...provenance("upstream", "bypass") }).end();
}
