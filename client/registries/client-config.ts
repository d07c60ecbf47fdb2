/**
 * Which registries one endpoint serves, and how.
 */
import { type Name, readableName } from "#ndn/packet/name.ts";
import { canonicalRegistry } from "#oci/reference.ts";

/** Where a registry's login comes from; used for reading, for pullers that have none of their own. */
export type LoginConfig =
  | { readonly kind: "docker-config" }
  | { readonly kind: "password-file"; readonly username: string; readonly file: string }
  | { readonly kind: "password-variable"; readonly username: string; readonly variable: string };

/** How one registry is served. */
export interface RegistryConfig extends RegistryPolicy {
  /** Its one spelling (`canonicalRegistry`), such as `docker.io`. */
  readonly registry: string;
  /** Undefined where the registry is reached over NDN alone. */
  readonly upstream: URL | undefined;
  /** NDN prefix of its blobs; undefined for HTTPS only. */
  readonly name: Name | undefined;
  /** Files, as absolute paths, and `sha256:HEX`. */
  readonly anchors: readonly string[];
  readonly credentials: LoginConfig | undefined;
  /** PEM files, as absolute paths: authorities that are trusted besides the machine's; the certificate that is shown, and its key. */
  readonly tls?: { ca: string | undefined; cert: string | undefined; key: string | undefined } | undefined;
}

/** Who decides whether a puller may have what is cached here or on NDN: the upstream, or no one. */
export type Authorize = (typeof authorizeChoices)[number];
export const authorizeChoices = ["upstream", "none"] as const;

/** To whom something is released while the upstream has no answer: pullers that were granted it before, all if any was, or never. */
export type OfflinePolicy = (typeof offlinePolicies)[number];
export const offlinePolicies = ["known-pullers", "anyone", "nobody"] as const;

/** Who says what a tag means: the upstream; the servers on NDN, and after them the upstream; or they when it fails. */
export type ManifestsFrom = (typeof manifestChoices)[number];
export const manifestChoices = ["https", "ndn", "fallback"] as const;

/** What an operator may decide for each registry. */
export interface RegistryPolicy {
  /** @defaultValue upstream */
  readonly authorize: Authorize;
  /** @defaultValue known-pullers */
  readonly offline: OfflinePolicy;
  /** Without an anchor it is `https`, whatever is said here; without an upstream it is NDN alone. @defaultValue fallback */
  readonly manifests: ManifestsFrom;
  /** What a server has signed longer ago is asked for past caches. @defaultValue 60000 */
  readonly maxAgeMs: number;
  /** How long after it was known last a tag is served while no one on NDN answers. @defaultValue a day */
  readonly staleTagsMs: number;
  /** Whether layers are fetched as soon as their manifest passes. @defaultValue false */
  readonly prefetch: boolean;
  /** Whether the puller's Authorization, cookies and own headers go to this registry in path form. @defaultValue true for the default registry */
  readonly forwardAuthorization: boolean;
}

/** All registries of one endpoint. */
export interface ClientConfig {
  /** The registry of names without one: `localhost:5000/library/alpine`. */
  readonly default: string;
  /** By spelling, in the order of the file. */
  readonly registries: ReadonlyMap<string, RegistryConfig>;
  /** What is no mistake, but should be looked at: one sentence each. */
  readonly warnings: readonly string[];
}

const dayMs = 86_400_000;

/** Decided for a registry, else by options for all, else here. */
export function policyOf(
  own: { [K in keyof RegistryPolicy]?: RegistryPolicy[K] | undefined },
  defaults: Partial<RegistryPolicy>,
  isDefault: boolean,
): RegistryPolicy {
  return {
    authorize: own.authorize ?? defaults.authorize ?? "upstream",
    offline: own.offline ?? defaults.offline ?? "known-pullers",
    manifests: own.manifests ?? defaults.manifests ?? "fallback",
    maxAgeMs: own.maxAgeMs ?? defaults.maxAgeMs ?? 60_000,
    staleTagsMs: own.staleTagsMs ?? defaults.staleTagsMs ?? dayMs,
    prefetch: own.prefetch ?? defaults.prefetch ?? false,
    forwardAuthorization: own.forwardAuthorization ?? defaults.forwardAuthorization ?? isDefault,
  };
}

/** The configuration that options make: one registry, which is also the default one; without an upstream there is a name. */
export function singleRegistry(
  registry: Partial<Omit<RegistryConfig, "registry" | "upstream">> & Pick<RegistryConfig, "upstream">,
): ClientConfig {
  const { name, anchors = [], credentials, upstream } = registry;
  const key = upstream ? canonicalRegistry(upstream.host) : hostLike(name!);
  const policy = policyOf(upstream ? registry : { ...registry, authorize: "none" }, {}, true);
  const config = { registry: key, upstream, name, anchors, credentials, ...policy };
  return { default: key, registries: new Map([[key, config]]), warnings: [] };
}

/** An NDN name as registries are called, `example.registry`: without an upstream there is no host to call it by. */
function hostLike(name: Name): string {
  const words =
    readableName(name)
      .toLowerCase()
      .match(/[a-z0-9]+/g) ?? [];
  return ["ndn", ...words].join(".");
}
