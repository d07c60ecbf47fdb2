/**
 * Pages of a sorted list (OCI distribution-spec § Listing tags: `n`, `last` and `Link`).
 */
import { RegistryError } from "#oci/errors.ts";

/** Which part of a list is asked for. */
export interface PageRequest {
  /** At most so many; undefined for all. */
  readonly n: number | undefined;
  /** Those behind this one. */
  readonly last: string | undefined;
}

/** A page. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Whether there are more behind it; then the next page begins behind the last item of this one. */
  readonly isMore: boolean;
}

/** What the query asks for. @throws RegistryError when `n` is no whole number */
export function pageRequest(query: URLSearchParams): PageRequest {
  const [n, last] = [query.get("n"), query.get("last")];
  if (n !== null && !/^\d{1,9}$/.test(n)) {
    throw new RegistryError("UNSUPPORTED", "n must be a whole number, not negative", { status: 400 });
  }
  return { n: n === null ? undefined : Number(n), last: last ?? undefined };
}

/** The part of a list, sorted by the bytes of `nameOf`, that is asked for. */
export function pageOf<T>(all: readonly T[], nameOf: (one: T) => string, { n, last }: PageRequest): Page<T> {
  const start = last === undefined ? 0 : firstBehind(all, nameOf, last);
  const end = n === undefined ? all.length : Math.min(all.length, start + n);
  return { items: all.slice(start, end), isMore: end > start && end < all.length };
}

/** By bisection: `last` need not be there any more. */
function firstBehind<T>(all: readonly T[], nameOf: (one: T) => string, last: string): number {
  let [low, high] = [0, all.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (nameOf(all[middle]!) > last) high = middle;
    else low = middle + 1;
  }
  return low;
}
