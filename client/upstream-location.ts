/** URLs in answers of the upstream, as the puller has to see them. */

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
   * A URL reference for the puller: those to the API of the upstream's host come back here, others stay untouched.
   * The text is cut, not parsed and printed again: upload URLs carry state that must come back byte for byte.
   *
   * @param endpoint - Origin that the puller used; undefined when it did not say, then the result is a path.
   */
  rewrite(reference: string, endpoint: string | undefined): string {
    const [, authority, rest = ""] = /^(?:https?:)?\/\/([^/?#]*)(.*)$/is.exec(reference) ?? [];
    if (authority === undefined) return this.#withoutBase(reference) ?? reference;
    const host = URL.parse(reference, "http://relative.invalid")?.host;
    const path = host === this.#host ? this.#withoutBase(rest) : undefined;
    return path === undefined ? reference : (endpoint ?? "") + path;
  }

  /** The same for every target in a `Link` header (RFC 8288 § 3). */
  rewriteLink(link: string, endpoint: string | undefined): string {
    return link.replace(/<([^>]*)>/g, (_, target: string) => `<${this.rewrite(target, endpoint)}>`);
  }

  #withoutBase(path: string): string | undefined {
    const inner = path.startsWith(this.#basePath) ? path.slice(this.#basePath.length) : undefined;
    return inner !== undefined && isRegistryPath(inner) ? inner : undefined;
  }
}

/** Whether a raw path, with or without query, is one of the registry API, and stays so when dot segments are resolved. */
export function isRegistryPath(rawUrl: string): boolean {
  if (!/^\/v2(?:[/?]|$)/.test(rawUrl)) return false;
  return /^\/v2(?:\/|$)/.test(URL.parse(rawUrl, "http://any.invalid")?.pathname ?? "");
}
