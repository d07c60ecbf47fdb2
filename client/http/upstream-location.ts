/** URLs in answers of the upstream, as the puller has to see them. */
import { isRegistryPath } from "./semantics.ts";

/** What was cut out of the puller's URL, and has to be in the next one as well. */
export interface CutOut {
  /** The first path component, such as `docker.io`; or empty. */
  readonly prefix: string;
  /** A query parameter, such as `ns=docker.io`; or empty. */
  readonly ns: string;
}

const nothing: CutOut = { prefix: "", ns: "" };

/** Rewrites `Location` and `Link` so that what lies at the upstream is asked through this endpoint. */
export class UpstreamLocation {
  readonly #host: string;
  readonly #basePath: string;

  constructor(upstream: URL) {
    this.#host = upstream.host;
    this.#basePath = upstream.pathname.replace(/\/+$/, "");
  }

  /** What follows the origin in a request to the upstream; `rawUrl` is path and query as they came. */
  pathOf(rawUrl: string): string {
    return this.#basePath + rawUrl;
  }

  /**
   * A URL reference for the puller: those to the API of the upstream's host come back here, in the form in which the
   * puller has asked; others stay untouched. The text is cut, not parsed and printed again: upload URLs carry state that
   * must come back byte for byte.
   *
   * @param endpoint - Origin that the puller used; undefined when it did not say, then the result is a path.
   */
  rewrite(reference: string, endpoint: string | undefined, cutOut: CutOut = nothing): string {
    const [, authority, rest = ""] = /^(?:https?:)?\/\/([^/?#]*)(.*)$/is.exec(reference) ?? [];
    if (authority === undefined) {
      const path = this.#withoutBase(reference);
      if (path !== undefined) return asAsked(path, cutOut);
      // Relative to the puller's own URL: the path is right as it is.
      return isRelative(reference) ? withParameter(reference, cutOut.ns) : reference;
    }
    const host = URL.parse(reference, "http://relative.invalid")?.host;
    const path = host === this.#host ? this.#withoutBase(rest) : undefined;
    return path === undefined ? reference : (endpoint ?? "") + asAsked(path, cutOut);
  }

  /** The same for every target in a `Link` header (RFC 8288 § 3). */
  rewriteLink(link: string, endpoint: string | undefined, cutOut: CutOut = nothing): string {
    return link.replace(/<([^>]*)>/g, (_, target: string) => `<${this.rewrite(target, endpoint, cutOut)}>`);
  }

  #withoutBase(path: string): string | undefined {
    const inner = path.startsWith(this.#basePath) ? path.slice(this.#basePath.length) : undefined;
    return inner !== undefined && isRegistryPath(inner) ? inner : undefined;
  }
}

function asAsked(path: string, { prefix, ns }: CutOut): string {
  return withParameter(prefix === "" ? path : path.replace(/^\/v2\/?/, `/v2/${prefix}/`), ns);
}

function withParameter(reference: string, parameter: string): string {
  if (parameter === "") return reference;
  const [before = "", fragment = ""] = reference.split(/(#.*)/s, 2);
  return `${before}${before.includes("?") ? "&" : "?"}${parameter}${fragment}`;
}

/** Neither with a scheme nor from the root. */
function isRelative(reference: string): boolean {
  return !/^(?:\/|[a-z][a-z0-9+.-]*:)/i.test(reference);
}
