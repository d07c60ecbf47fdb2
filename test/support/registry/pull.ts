/** Reading: blobs, manifests, lists (OCI distribution-spec § Pull, § Content Discovery). */
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Repository } from "#cli/demo/image-store.ts";
import { selectRange } from "#cli/demo/registry.ts";
import { RegistryError } from "#oci/errors.ts";
import { answerWith, type Fault } from "./fault.ts";
import { reply, sendBody } from "./send.ts";

/** What the answer to a blob GET depends on. */
export interface BlobContext {
  /** What goes wrong with the next answer; asked once for each. */
  faultOf(digest: string): Fault | undefined;
  /** Called with the size of each piece as it is written. */
  readonly onBytes: (bytes: number) => void;
}

/** GET or HEAD of a blob; only a GET meets a fault. */
export async function serveBlob(
  req: IncomingMessage,
  res: ServerResponse,
  { digest, blob }: { digest: string; blob: Buffer },
  context: BlobContext,
): Promise<void> {
  const headers = { "content-type": "application/octet-stream", ...identity(digest), "accept-ranges": "bytes" };
  if (isUnchanged(req, digest)) return reply(res, 304, headers);
  if (req.method === "HEAD") return reply(res, 200, headers, blob);
  const fault = context.faultOf(digest);
  if (fault?.delayMs !== undefined) await sleep(fault.delayMs, undefined, { ref: false });
  if (fault?.kind === "status") throw new RegistryError("UNKNOWN", "a fault", { status: fault.status });

  const ifRange = req.headers["if-range"];
  const range = ifRange && ifRange !== `"${digest}"` ? undefined : selectRange(req.headers.range, blob.length);
  if (range === "unsatisfiable") {
    res.setHeader("content-range", `bytes */${blob.length}`);
    throw new RegistryError("RANGE_INVALID", `range ${req.headers.range} of ${blob.length} bytes`);
  }
  const answer = answerWith(fault, blob, range);
  const at = answer.contentRange;
  if (at) res.setHeader("content-range", `bytes ${at.start}-${at.end - 1}/${blob.length}`);
  res.writeHead(answer.status, { ...headers, "content-length": answer.body.length });
  await sendBody(res, answer, context.onBytes);
}

/** GET or HEAD of a manifest, by tag or digest. */
export function serveManifest(req: IncomingMessage, res: ServerResponse, repository: Repository, reference: string) {
  const digest = repository.tags.get(reference) ?? reference;
  const manifest = repository.manifests.get(digest);
  if (manifest === undefined) throw new RegistryError("MANIFEST_UNKNOWN", "manifest unknown", { detail: reference });
  const headers = { "content-type": manifest.mediaType, ...identity(digest) };
  if (isUnchanged(req, digest)) return reply(res, 304, headers);
  reply(res, 200, headers, manifest.bytes);
}

/** One page of a sorted list under `key`, with a Link to the next; `n` and `last` come from the query. */
export function servePage(res: ServerResponse, url: URL, key: string, all: Iterable<string>, extra: object = {}): void {
  const n = url.searchParams.get("n");
  const last = url.searchParams.get("last") ?? "";
  const rest = [...all].sort().filter((item) => item > last);
  const page = n === null ? rest : rest.slice(0, Number(n));
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (page.length < rest.length && page.length > 0) {
    const next = new URLSearchParams({ last: page.at(-1)!, n: n! });
    headers.link = `<${url.pathname}?${next.toString()}>; rel="next"`;
  }
  reply(res, 200, headers, JSON.stringify({ ...extra, [key]: page }));
}

function identity(digest: string) {
  return { "docker-content-digest": digest, etag: `"${digest}"` };
}

function isUnchanged(req: IncomingMessage, digest: string): boolean {
  return req.headers["if-none-match"]?.includes(`"${digest}"`) ?? false;
}
