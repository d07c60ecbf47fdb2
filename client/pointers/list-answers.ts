/**
 * Lists over NDN: tags of a repository, what refers to a manifest, repositories. Each answer is cut from one snapshot,
 * and the pages that follow it by `Link` from the same one as long as that is remembered.
 */
import { RegistryError } from "#oci/errors.ts";
import { isRepository, parseSha256 } from "#oci/reference.ts";
import { apiVersion, manifestProvenance, staleness } from "../http/answers.ts";
import type { AskedAs } from "../registries/router.ts";
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

/** What is asked of a list, and how the puller has written its request. */
export interface ListQuestion {
  /** Path and query, as the registry would have them. */
  readonly url: string;
  readonly askedAs: AskedAs;
  readonly signal: AbortSignal;
}

/** The answer to a GET. */
export interface ListAnswer {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** @throws RegistryError when there is no such list; what `Snapshots.read` throws */
export async function answerList(
  snapshots: Snapshots,
  question: ListQuestion,
  target: ListTarget,
): Promise<ListAnswer> {
  const query = new URLSearchParams(question.url.split(/\?(.*)/s, 2)[1] ?? "");
  const snapshot = await snapshots.read(target, parseSha256(query.get("snapshot") ?? ""), question.signal);
  if (target.kind === "referrers") return answerReferrers(snapshot, query);
  if (!snapshot) throw noList(target);
  const page = pageOf(snapshot.names, (name) => name, pageRequest(query));
  const body = target.kind === "tags" ? { name: target.repository, tags: page.items } : { repositories: page.items };
  const link = page.isMore ? { link: linkTo(question, snapshot, query, page) } : {};
  return answerOf(body, { ...headersOf(snapshot), ...link });
}

function noList(target: ListTarget): RegistryError {
  if (target.kind !== "tags") return new RegistryError("UNSUPPORTED", "there is no catalog over NDN", { status: 404 });
  return new RegistryError("NAME_UNKNOWN", `the registry has no repository ${target.repository}, or hides it`);
}

/** What refers to something unknown is an empty list (OCI distribution-spec § Listing Referrers). */
function answerReferrers(snapshot: Snapshot | undefined, query: URLSearchParams): ListAnswer {
  const wanted = query.getAll("artifactType");
  const isWanted = ({ artifactType = "" }: Referrer) => wanted.length === 0 || wanted.includes(artifactType);
  const manifests = snapshot?.referrers.filter(isWanted) ?? [];
  const filtered = wanted.length > 0 ? { "oci-filters-applied": "artifactType" } : {};
  const headers = { ...headersOf(snapshot), "content-type": indexType, ...filtered };
  return answerOf({ schemaVersion: 2, mediaType: indexType, manifests }, headers);
}

/** Leads back here, written as the puller has written its request. */
function linkTo(
  { url, askedAs: { prefix, ns } }: ListQuestion,
  { digest }: Snapshot,
  query: URLSearchParams,
  { items }: Page<string>,
): string {
  const next = new URLSearchParams({ last: items.at(-1)!, n: query.get("n")!, snapshot: digest });
  const [path = ""] = url.split("?", 1);
  const asWritten = prefix === "" ? path : path.replace(/^\/v2\//, `/v2/${prefix}/`);
  return `<${asWritten}?${next.toString()}${ns && `&${ns}`}>; rel="next"`;
}

function headersOf(snapshot: Snapshot | undefined): Record<string, string> {
  const headers = { ...apiVersion, "content-type": "application/json", ...manifestProvenance("ndn") };
  if (!snapshot?.isStale) return headers;
  const seen = new Date(snapshot.seenMs).toUTCString();
  const warning = `299 - "ndn-registry: no one answers over NDN; this is the list last seen ${seen}"`;
  return { ...headers, ...staleness(warning, snapshot.seenMs) };
}

function answerOf(value: object, headers: Record<string, string>): ListAnswer {
  const body = Buffer.from(JSON.stringify(value));
  return { headers: { ...headers, "content-length": String(body.length) }, body };
}
