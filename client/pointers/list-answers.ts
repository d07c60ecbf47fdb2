/**
 * Lists over NDN: tags of a repository, what refers to a manifest, repositories. Each answer is cut from one snapshot,
 * and the pages that follow it by `Link` from the same one as long as that is remembered.
 */
import type { OutgoingHttpHeaders } from "node:http";
import { RegistryError } from "#oci/errors.ts";
import { isRepository, parseSha256 } from "#oci/reference.ts";
import { apiVersion, manifestProvenance, staleness } from "../http/answers.ts";
import type { RequestContext } from "../registries/router.ts";
import { type Page, pageOf, pageRequest } from "./list-pages.ts";
import type { ListTarget, Referrer, Snapshot, Snapshots } from "./snapshots.ts";

const indexType = "application/vnd.oci.image.index.v1+json";

/** What a raw path lists (OCI distribution-spec § Content discovery); undefined for every other path. */
export function listIn(rawUrl: string): ListTarget | undefined {
  const [path = ""] = rawUrl.split("?", 1);
  if (path === "/v2/_catalog") return { kind: "catalog" };
  const [, repository = "", what, digestText = ""] =
    /^\/v2\/(.+)\/(tags\/list|referrers\/([^/]+))$/.exec(path)?.map((part) => part ?? "") ?? [];
  if (!isRepository(repository)) return undefined;
  if (what === "tags/list") return { kind: "tags", repository };
  const digest = parseSha256(digestText);
  return digest && { kind: "referrers", repository, digest };
}

/** Answer. @throws RegistryError when there is no such list; what `Snapshots.read` throws */
export async function sendList(snapshots: Snapshots, context: RequestContext, target: ListTarget): Promise<void> {
  const query = new URLSearchParams(context.url.split(/\?(.*)/s, 2)[1] ?? "");
  const snapshot = await snapshots.read(target, parseSha256(query.get("snapshot") ?? ""), context.signal);
  if (target.kind === "referrers") return sendReferrers(context, snapshot, query);
  if (!snapshot) throw noList(target);
  const page = pageOf(snapshot.names, (name) => name, pageRequest(query));
  const body = target.kind === "tags" ? { name: target.repository, tags: page.items } : { repositories: page.items };
  const link = page.isMore ? { link: linkTo(context, snapshot, query, page) } : {};
  send(context, body, { ...headersOf(context, snapshot), ...link });
}

function noList(target: ListTarget): RegistryError {
  if (target.kind !== "tags") return new RegistryError("UNSUPPORTED", "there is no catalog over NDN", { status: 404 });
  return new RegistryError("NAME_UNKNOWN", `the registry has no repository ${target.repository}, or hides it`);
}

/** What refers to something unknown is an empty list (OCI distribution-spec § Listing Referrers). */
function sendReferrers(context: RequestContext, snapshot: Snapshot | undefined, query: URLSearchParams): void {
  const wanted = query.getAll("artifactType");
  const isWanted = ({ artifactType = "" }: Referrer) => wanted.length === 0 || wanted.includes(artifactType);
  const manifests = snapshot?.referrers.filter(isWanted) ?? [];
  const filtered = wanted.length > 0 ? { "oci-filters-applied": "artifactType" } : {};
  const headers = { ...headersOf(context, snapshot), "content-type": indexType, ...filtered };
  send(context, { schemaVersion: 2, mediaType: indexType, manifests }, headers);
}

/** Leads back here, written as the puller has written its request. */
function linkTo(
  { request, askedAs }: RequestContext,
  { digest }: Snapshot,
  query: URLSearchParams,
  { items }: Page<string>,
): string {
  const next = new URLSearchParams({ last: items.at(-1)!, n: query.get("n")!, snapshot: digest });
  const [path = ""] = (request.url ?? "").split("?", 1);
  return `<${path}?${next.toString()}${askedAs.ns && `&${askedAs.ns}`}>; rel="next"`;
}

function headersOf({ registry }: RequestContext, snapshot: Snapshot | undefined): OutgoingHttpHeaders {
  const headers = { ...apiVersion, "content-type": "application/json", ...manifestProvenance("ndn") };
  if (!snapshot?.isStale) return headers;
  const warning = `299 - "ndn-registry: no one answers over NDN for ${registry}; this is the list last seen ${new Date(snapshot.seenMs).toUTCString()}"`;
  return { ...headers, ...staleness(warning, snapshot.seenMs) };
}

function send({ request, response }: RequestContext, value: object, headers: OutgoingHttpHeaders): void {
  const body = Buffer.from(JSON.stringify(value));
  response.writeHead(200, { ...headers, "content-length": body.length });
  response.end(request.method === "HEAD" ? undefined : body);
}
