/**
 * Which blobs a puller of an image will want: those of its platforms.
 */
import { RegistryError } from "#oci/errors.ts";
import { layersOf, type Referred } from "#oci/manifest.ts";
import type { AddedManifest } from "./manifests/add-manifest.ts";

/** Every platform of an index. */
const everyPlatform = "all";

/** What is wanted below a manifest. */
export interface WantedBelow {
  /** For messages. */
  readonly name: string;
  /** `linux/arm/v7`, or without the variant; `all`. None stands for that of this machine. */
  readonly platforms: readonly string[];
  /** Gets a child of an index by its digest. */
  readonly ask: (digest: string) => Promise<AddedManifest>;
}

/**
 * Configurations and layers, each once.
 *
 * @throws RegistryError when an index has none of the platforms. @throws What `ask` throws.
 */
export async function blobsOf({ mediaType, bytes }: AddedManifest, wanted: WantedBelow): Promise<Referred[]> {
  const below = layersOf(mediaType, bytes);
  const children = below.filter(({ kind }) => kind === "manifest");
  const blobs = below.filter(({ kind }) => kind !== "manifest");
  for (const { digest } of children.length === 0 ? [] : childrenFor(children, wanted)) {
    // An index within an index has been chosen as a whole.
    blobs.push(...(await blobsOf(await wanted.ask(digest), { ...wanted, platforms: [everyPlatform] })));
  }
  return [...new Map(blobs.map((blob) => [blob.digest, blob])).values()];
}

function childrenFor(children: readonly Referred[], { name, platforms }: WantedBelow): readonly Referred[] {
  const own = platforms.length > 0 ? platforms : [ownPlatform];
  if (own.includes(everyPlatform) || children.every(({ platform }) => platform === undefined)) return children;
  const chosen = children.filter(({ platform = "" }) => own.some((one) => `${platform}/`.startsWith(`${one}/`)));
  if (chosen.length > 0) return chosen;
  const there = [...new Set(children.map(({ platform }) => platform ?? "others"))].join(", ");
  throw new RegistryError("MANIFEST_UNKNOWN", `${name} is not there for ${own.join(", ")}, but for ${there}`);
}

/** Node's names of architectures where they are not those of images. */
const architectures: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386", ppc64: "ppc64le" };

/** Containers run on Linux, whatever is around it. */
const ownPlatform = `linux/${architectures[process.arch] ?? process.arch}`;
