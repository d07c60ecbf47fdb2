/**
 * A fetch that all its readers have left: containerd drops its first request on purpose, and asks for parts next.
 */
import type { BlobWriter } from "#store/store-port.ts";

const defaultMs = 10_000;

/** Ends a fetch that is not worth to be continued for no one. */
export class Lingering {
  #timer: NodeJS.Timeout | undefined;

  /**
   * After `ms`, 10 s by default, the fetch is cancelled, unless more than half of the blob is stored by then: that is
   * brought to its end, as long as something comes in each further `ms`. An upstream has the patience of those who wait.
   *
   * @param fileOf - Where the fetch writes, if it has a file yet.
   */
  begin(
    fileOf: () => Pick<BlobWriter, "sizeBytes" | "writtenBytes"> | undefined,
    cancel: () => void,
    ms: number = defaultMs,
    writtenBefore: number = 0,
  ): void {
    this.#timer = setTimeout(() => {
      const { writtenBytes, sizeBytes } = fileOf() ?? { writtenBytes: 0, sizeBytes: 0 };
      const isWorthIt = writtenBytes > sizeBytes / 2 && writtenBytes > writtenBefore;
      if (isWorthIt) this.begin(fileOf, cancel, ms, writtenBytes);
      else cancel();
    }, ms);
  }

  /** Someone reads again, or nothing is left to be read. */
  end(): void {
    clearTimeout(this.#timer);
  }
}
