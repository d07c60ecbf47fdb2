/**
 * The mirrors of a configuration, and the change to those of another one while the client runs.
 */
import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import { type Mirror, type MirrorParts, openMirror } from "./mirror.ts";
import type { ClientConfig, RegistryConfig } from "./registries/client-config.ts";

/** The mirrors that are open, by their name in the configuration. */
export class Mirrors {
  #parts: MirrorParts;
  /** `--upstream-ca`: all mirrors change with it. */
  readonly #caFile: string | undefined;
  #now: ReadonlyMap<string, Mirror> = new Map();
  /** What each was opened with. */
  readonly #fingerprints = new WeakMap<Mirror, string>();

  /** @throws ClientOptionError when the login or the anchors of one cannot be used. */
  constructor(config: ClientConfig, parts: MirrorParts & { readonly upstreamCa?: string | undefined }) {
    this.#parts = parts;
    this.#caFile = parts.upstreamCa;
    this.#now = this.#open(config, parts);
  }

  get now(): ReadonlyMap<string, Mirror> {
    return this.#now;
  }

  /**
   * Open what is new or has changed, its files included; the others stay the same mirrors.
   *
   * @returns Those that are left out, to be closed with `close`.
   * @throws ClientOptionError as the constructor; then nothing has changed.
   */
  change(config: ClientConfig, network = this.#parts.network): readonly Mirror[] {
    const before = [...this.#now.values()];
    const parts = { ...this.#parts, network };
    this.#now = this.#open(config, parts);
    this.#parts = parts;
    const kept = new Set(this.#now.values());
    return before.filter((mirror) => !kept.has(mirror));
  }

  async close(mirrors: readonly Mirror[] = [...this.#now.values()]): Promise<void> {
    for (const { registry, ndn } of mirrors) {
      ndn?.leave?.();
      await registry?.close();
    }
  }

  #open({ registries }: ClientConfig, parts: MirrorParts): Map<string, Mirror> {
    const opened: Mirror[] = [];
    try {
      return new Map(
        [...registries].map(([name, one]) => {
          const fingerprint = fingerprintOf({ ...one, upstreamCa: this.#caFile });
          const same = this.#now.get(name);
          if (same && this.#fingerprints.get(same) === fingerprint) return [name, same];
          const mirror = openMirror(one, parts);
          opened.push(mirror);
          this.#fingerprints.set(mirror, fingerprint);
          return [name, mirror];
        }),
      );
    } catch (err: unknown) {
      void this.close(opened);
      throw err;
    }
  }
}

/** All that is said of a registry, and what is in the files that it names: anchors, passwords, authorities. */
function fingerprintOf(config: RegistryConfig & { readonly upstreamCa: string | undefined }): string {
  return JSON.stringify(config, (_key, value: unknown) =>
    typeof value === "string" ? `${value} ${contentOf(value)}` : value,
  );
}

function contentOf(file: string): string {
  try {
    return hash("sha256", readFileSync(file));
  } catch {
    return ""; // most texts are no files
  }
}
