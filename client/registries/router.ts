/**
 * Which registry a request of a puller is for, how the upstream has to see it, and who asks. Paths are cut, never decoded.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { isOwnHeader, type PullerAuth } from "#oci/auth.ts";
import { canonicalRegistry } from "#oci/reference.ts";
import type { RegistryClient } from "#oci/registry-client.ts";
import { signalOf } from "../http/answers.ts";
import { forwardedHeaders, isRegistryPath, joinedHeaders, queryOf } from "../http/semantics.ts";
import type { RegistryConfig } from "./client-config.ts";

/** How the puller has named the registry; what is sent back to it is written in the same form. */
export interface AskedAs {
  /** By `?ns=`, as containerd does for a mirror; by the first path component; or not at all. */
  readonly form: "plain" | "ns" | "path";
  /** The path component that was cut out; empty in the other forms. */
  readonly prefix: string;
  /** The query parameter that was cut out, such as `ns=docker.io`; empty in the other forms. */
  readonly ns: string;
}

/** Where a request goes. */
export interface Route {
  /** The key of the registry in the configuration. */
  readonly registry: string;
  /** Path and query for the upstream, below its base. */
  readonly rawUrl: string;
  readonly askedAs: AskedAs;
}

/** What is not served here; a reason for the puller. */
export interface Refused {
  readonly refused: string;
}

/** Routes a request by its path and query, as they came. */
export type Router = (rawUrl: string) => Route | Refused;

/**
 * A registry as a component of an image's path: pullers take no colon there, so `registry.example:5000` is written
 * `registry.example_5000`, as no host is.
 */
export function pathNameOf(registry: string): string {
  return registry.replace(":", "_");
}

/** The configured registries are all there are: a name from outside never becomes an address. */
export function createRouter({
  default: standard,
  registries,
}: {
  readonly default: string;
  readonly registries: { has(registry: string): boolean; keys(): Iterable<string> };
}): Router {
  const served = [...registries.keys()].join(", ");
  const byPathName = new Map(
    [...registries.keys()].flatMap((key) => [key, pathNameOf(key)].map((name) => [name, key] as const)),
  );
  const byNs = (path: string, query: string): Route | Refused | undefined => {
    const { rest, ns } = takeNs(query);
    if (ns.length === 0) return undefined;
    const [name, ...others] = new Set(ns.map((parameter) => canonicalRegistry(namedBy(parameter))));
    if (name === undefined || others.length > 0) return { refused: "one request has one registry: ns names several" };
    if (!registries.has(name)) return { refused: `this endpoint serves ${served}, not ${name.slice(0, 100)}` };
    const rawUrl = rest.length > 0 ? `${path}?${rest.join("&")}` : path;
    return { registry: name, rawUrl, askedAs: { form: "ns", prefix: "", ns: ns[0]! } };
  };
  return (rawUrl) => {
    const [path = "", query] = rawUrl.split(/\?(.*)/s, 2);
    const named = query === undefined ? undefined : byNs(path, query);
    if (named) return named;
    const first = /^\/v2\/([^/]+)\//.exec(path)?.[1] ?? "";
    const registry = byPathName.get(first);
    const inner = registry === undefined ? path : `/v2/${path.slice(`/v2/${first}/`.length)}`;
    const url = query === undefined ? inner : cutMountSource(inner, query, registry ?? standard, byPathName);
    if (registry === undefined) return { registry: standard, rawUrl: url, askedAs: plain };
    if (!isRegistryPath(url)) return { refused: "there is only /v2/ here" };
    return { registry, rawUrl: url, askedAs: { form: "path", prefix: first, ns: "" } };
  };
}

/** A registry that the puller has not named. */
export const plain: AskedAs = { form: "plain", prefix: "", ns: "" };

/** Only a registry's parameters are looked at, the others stay byte for byte. */
function takeNs(query: string): { rest: readonly string[]; ns: readonly string[] } {
  const { ns = [], rest = [] } = Object.groupBy(query.split("&"), (parameter) =>
    new URLSearchParams(parameter).has("ns") ? "ns" : "rest",
  );
  return { ns, rest };
}

function namedBy(parameter: string): string {
  return new URLSearchParams(parameter).get("ns") ?? "";
}

/** A push names the repository that it mounts a blob from as the puller sees it: with the registry in front. */
function cutMountSource(
  path: string,
  query: string,
  registry: string,
  byPathName: ReadonlyMap<string, string>,
): string {
  if (!/\/blobs\/uploads\/?$/.test(path)) return `${path}?${query}`;
  const parameters = query.split("&").map((parameter) => {
    const [, source = ""] = /^from=([^/%]+)(?:\/|%2f)/i.exec(parameter) ?? [];
    return byPathName.get(source) === registry ? parameter.replace(/^from=[^/%]+(?:\/|%2f)/i, "from=") : parameter;
  });
  return `${path}?${parameters.join("&")}`;
}

/** Who asks. */
export interface Puller {
  /** In whose name the upstream is asked, and what else it hears from there. */
  readonly auth: PullerAuth;
  /** Stands for it where rights are remembered, without a secret in it; undefined for anonymous. */
  readonly identity: string | undefined;
}

/** What every handler is given. */
export interface RequestContext {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Path and query for the upstream, below its base; `request.url` is as the puller wrote it. */
  readonly url: string;
  /** Those for the upstream in their order: name, value, name, value … */
  readonly headers: readonly string[];
  readonly askedAs: AskedAs;
  /** The registry's name in the configuration, in its one spelling. */
  readonly registry: string;
  readonly puller: Puller;
  /** Fires when the puller goes away. */
  readonly signal: AbortSignal;
}

/** The context of a request that the router has sent to this registry. @throws the signal's reason */
export async function contextOf(
  request: IncomingMessage,
  response: ServerResponse,
  { rawUrl: url, askedAs }: Route,
  config: Pick<RegistryConfig, "registry" | "forwardAuthorization">,
  registry: Pick<RegistryClient, "identityOf">,
): Promise<RequestContext> {
  const signal = signalOf(response);
  // What proves who a puller is does not go to a registry that it has not logged in at.
  const isStranger = askedAs.form === "path" && !config.forwardAuthorization;
  const headers = forwardedHeaders(request, isStranger ? isOwnHeader : undefined);
  const sent = { headers: joinedHeaders(headers, ofOneRequest), query: queryOf(url) };
  const auth = { ...pullerAuth(request.headers.authorization, askedAs, config), sent };
  const identity = await registry.identityOf(auth, signal);
  const puller = { auth, identity: identity === "anonymous" ? undefined : identity };
  return { request, response, url, headers, askedAs, registry: config.registry, puller, signal };
}

/** Which part a puller wants, and what it has. */
const ofOneRequest = /^(?:range|if-.*|content-.*)$/;

/**
 * In whose name a puller's request goes to its registry.
 *
 * In path form the puller has logged in, if at all, at the default registry, and for a repository whose name has the
 * registry in front: other registries do not get to see that, and where it is sent and refused it counts as not sent.
 */
export function pullerAuth(
  authorization: string | undefined,
  { form }: AskedAs,
  { forwardAuthorization }: Pick<RegistryConfig, "forwardAuthorization">,
): PullerAuth {
  if (form !== "path") return { kind: "puller", value: authorization };
  if (!forwardAuthorization) return { kind: "puller", value: undefined };
  return { kind: "puller", value: authorization, orWithout: true };
}
