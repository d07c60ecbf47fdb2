/**
 * The endpoint that a puller is pointed at, and the registries that it is to stand for.
 */

/** Where pullers reach `ndn-registry client`. */
export interface Endpoint {
  /** `http://127.0.0.1:5000`, without a slash at the end. */
  readonly url: string;
  /** `127.0.0.1:5000` */
  readonly host: string;
  readonly isPlainHttp: boolean;
  /** Whether it is this machine's own, by address or as `localhost`. */
  readonly isLoopback: boolean;
}

/** Docker's name for its own registry, and what pullers take for an image without a registry. */
export const dockerHub = "docker.io";

/** containerd's directory for every registry that has none of its own. */
export const anyRegistry = "_default";

/** An http or https URL of a host, with nothing after it. @throws Error */
export function endpointUrl(text: string): Endpoint {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username || url.password) {
    throw new Error("not an http or https URL without credentials (example: http://127.0.0.1:5000)");
  }
  if (url.pathname !== "/" || url.search || url.hash) {
    throw new Error(`${JSON.stringify(text)} has a path; pullers take only scheme, host and port`);
  }
  return {
    url: url.origin,
    host: url.host,
    isPlainHttp: url.protocol === "http:",
    isLoopback: isLoopbackName(url.hostname),
  };
}

/** That of a client whose `--listen` is the default. */
export const defaultEndpoint: Endpoint = endpointUrl("http://127.0.0.1:5000");

/** A registry as it stands before an image's name, `HOST` or `HOST:PORT`, or `_default`. @throws Error */
export function registryName(text: string): string {
  if (text === anyRegistry) return text;
  const name = text.toLowerCase();
  // No slash and no leading dot or dash: the name becomes a directory's.
  if (!/^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/.test(name)) {
    throw new Error(`${JSON.stringify(text)} is not a registry (examples: docker.io, registry.example:5000)`);
  }
  return hubNames.has(name) ? dockerHub : name;
}

/** Whether an image's path can name the registry: an IPv6 address cannot stand there. */
export function hasPathName(registry: string): boolean {
  return !registry.startsWith("[");
}

/** Whether a host name, without port, is a name of this machine that needs no name service. */
export function isLoopbackName(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

/** Hosts of Docker Hub: images carry none of them in their names. */
const hubNames = new Set(["index.docker.io", "registry-1.docker.io"]);
