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
  return (rawUrl) => {
    const { path, rest, ns } = takeNs(rawUrl);
    if (ns.length > 0) {
      const [name, ...others] = new Set(ns.map((parameter) => canonicalRegistry(namedBy(parameter))));
      if (name === undefined || others.length > 0) return { refused: "one request has one registry: ns names several" };
      if (!registries.has(name)) return { refused: `this endpoint serves ${served}, not ${name.slice(0, 100)}` };
      return { registry: name, rawUrl: join(path, rest), askedAs: { form: "ns", prefix: "", ns: ns[0]! } };
    }
    const first = /^\/v2\/([^/]+)\//.exec(path)?.[1] ?? "";
    const registry = byPathName.get(first);
    if (registry === undefined) {
      return { registry: standard, rawUrl: cutMountSource(rawUrl, standard, byPathName), askedAs: plain };
    }
    const inner = cutMountSource(`/v2/${rawUrl.slice(`/v2/${first}/`.length)}`, registry, byPathName);
    if (!isRegistryPath(inner)) return { refused: "there is only /v2/ here" };
    return { registry, rawUrl: inner, askedAs: { form: "path", prefix: first, ns: "" } };
  };
}

/** A registry that the puller has not named. */
export const plain: AskedAs = { form: "plain", prefix: "", ns: "" };

/** Only a registry's parameters are looked at, the others stay byte for byte. */
function takeNs(rawUrl: string): { path: string; rest: readonly string[] | undefined; ns: readonly string[] } {
  const [path = "", query] = rawUrl.split(/\?(.*)/s, 2);
  const parameters = query?.split("&") ?? [];
  const isNs = (parameter: string) => new URLSearchParams(parameter).has("ns");
  return {
    path,
    rest: query === undefined ? undefined : parameters.filter((parameter) => !isNs(parameter)),
    ns: parameters.filter(isNs),
  };
}

function namedBy(parameter: string): string {
  return new URLSearchParams(parameter).get("ns") ?? "";
}

function join(path: string, parameters: readonly string[] | undefined): string {
  return parameters?.length ? `${path}?${parameters.join("&")}` : path;
}

/** A push names the repository that it mounts a blob from as the puller sees it: with the registry in front. */
function cutMountSource(rawUrl: string, registry: string, byPathName: ReadonlyMap<string, string>): string {
  const [path = "", query] = rawUrl.split(/\?(.*)/s, 2);
  if (query === undefined || !/\/blobs\/uploads\/?$/.test(path)) return rawUrl;
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
  const headers = forwardedHeaders(request, mayHear(askedAs, config) ? undefined : isOwnHeader);
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
  askedAs: AskedAs,
  config: Pick<RegistryConfig, "forwardAuthorization">,
): PullerAuth {
  if (askedAs.form !== "path") return { kind: "puller", value: authorization };
  if (!mayHear(askedAs, config)) return { kind: "puller", value: undefined };
  return { kind: "puller", value: authorization, orWithout: true };
}

/** Whether what proves who a puller is goes to this registry. */
function mayHear({ form }: AskedAs, { forwardAuthorization }: Pick<RegistryConfig, "forwardAuthorization">): boolean {
  return form !== "path" || forwardAuthorization;
}
