/**
 * Images by the names that people write: as they pull them, in part, or by the beginning of a digest.
 */
import { RegistryError } from "#oci/errors.ts";
import { canonicalRegistry } from "#oci/reference.ts";

/** An image's name, taken apart. */
export interface WrittenImage {
  /** With or without a registry in front. */
  readonly path: string;
  /** The tag or, with `@`, the digest. */
  readonly separator: ":" | "@";
  readonly reference: string;
}

/** `alpine` is `alpine:latest`; of a tag and a digest the digest counts. */
export function parseImage(text: string): WrittenImage {
  const [name = "", digest] = text.split("@", 2);
  const [, path = name, tag = "latest"] = /^(.*):([^/:]*)$/.exec(name) ?? [];
  return digest === undefined ? { path, separator: ":", reference: tag } : { path, separator: "@", reference: digest };
}

/** Whether a component in front of a repository can only be a registry, as Docker decides it. */
export function isRegistryName(component: string): boolean {
  return /[.:]/.test(component) || component === "localhost";
}

/** Whether it is this machine, so that it may be the endpoint itself. */
export function isLoopback(component: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/.test(component);
}

/** Docker Hub's images without an owner are those of `library`. */
export function hubRepository(path: string): string {
  return path.includes("/") ? path : `library/${path}`;
}

/** What of an image its name is found by. */
interface Named {
  /** `<registry>/<repository>:<tag>`, or `@` and the digest where no tag means it. */
  readonly name: string;
  readonly digest: string;
}

/**
 * The images that a text means: the one of exactly this name, else those whose name ends so, by whole components; or
 * those whose digest begins so, from 6 hexadecimal digits on.
 */
export function imagesMeant<T extends Named>(text: string, images: readonly T[]): T[] {
  const [, hex] = /^(?:sha256:)?([a-f0-9]{6,64})$/.exec(text) ?? [];
  const byName = text.startsWith("sha256:") ? [] : meantByName(text, images);
  if (byName.length > 0 || hex === undefined) return byName;
  return images.filter(({ digest }) => digest.startsWith(`sha256:${hex}`));
}

function meantByName<T extends Named>(text: string, images: readonly T[]): T[] {
  const { path, separator, reference } = parseImage(text);
  const isMeant = ({ name, digest }: T, isWhole: boolean, as: string) => {
    const own = parseImage(name);
    const isSame =
      separator === ":" ? own.separator === ":" && own.reference === reference : digest.startsWith(reference);
    return isSame && (own.path === as || (!isWhole && own.path.endsWith(`/${as}`)));
  };
  for (const as of spellings(path)) {
    for (const isWhole of [true, false]) {
      const found = images.filter((image) => isMeant(image, isWhole, as));
      if (found.length > 0) return found;
    }
  }
  return [];
}

/** As it is written, and as it is called where the registry is spelled otherwise, or is this endpoint. */
function spellings(path: string): string[] {
  const [, first = "", rest = ""] = /^([^/]+)\/(.+)$/.exec(path) ?? [];
  if (rest === "") return [path];
  const registry = canonicalRegistry(first.replace(/_(\d+)$/, ":$1"));
  const own = `${registry}/${registry === "docker.io" ? hubRepository(rest) : rest}`;
  return [path, own, ...(isLoopback(first) ? [rest] : [])];
}

/** The one that is meant. @throws RegistryError when there is none, or more than one. */
export function theOne<T extends Named>(text: string, found: readonly T[]): T {
  const [image, ...others] = found;
  if (image === undefined) throw new RegistryError("MANIFEST_UNKNOWN", `${text} is not in the cache`);
  if (others.length === 0) return image;
  const names = found.slice(0, 5).map(({ name }) => name);
  const more = found.length > names.length ? " and others" : "";
  throw new RegistryError("NAME_INVALID", `${text} may be ${names.join(", ")}${more}`, { status: 409 });
}
