/** Redirects, by status (RFC 9110 § 15.4), and the URLs that they and token realms name. */

/** Statuses of answers that say by `Location` where to ask instead. */
export const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** An http or https URL without login and fragment; undefined for any other text. @param base - What it may be relative to. */
export function webUrl(text: string, base: string | undefined): URL | undefined {
  const url = URL.parse(text, base);
  if (url?.protocol !== "https:" && url?.protocol !== "http:") return undefined;
  url.username = url.password = url.hash = "";
  return url;
}
