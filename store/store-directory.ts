/**
 * The directory as this process has it: made, claimed, and claimed again when it has been cleared away.
 */
import { DirectoryLock } from "./directory-lock.ts";
import type { DiskHealth } from "./disk-health.ts";
import { ImageLayout } from "./image-layout.ts";
import { StoreError } from "./store-port.ts";

export class StoreDirectory {
  readonly layout: ImageLayout;
  #lock: DirectoryLock;
  #restoring: Promise<void> | undefined;

  private constructor(layout: ImageLayout, lock: DirectoryLock) {
    this.layout = layout;
    this.#lock = lock;
  }

  /**
   * Make the directory when it is missing, and keep others out until `release`.
   *
   * @throws StoreError when another process has it, or it holds another's images.
   */
  static async claim(path: string): Promise<StoreDirectory> {
    const layout = new ImageLayout(path);
    await layout.makeDirectory();
    const directory = new StoreDirectory(layout, await DirectoryLock.take(path));
    try {
      await layout.make("perhaps another's");
    } catch (err: unknown) {
      await directory.release();
      throw err;
    }
    return directory;
  }

  /**
   * Make again what is gone; asked by several at once, it is done once.
   *
   * @throws Error of the operating system, or StoreError when another process has taken the directory meanwhile.
   */
  restore(health: DiskHealth): Promise<void> {
    this.#restoring ??= this.#makeAgain(health).finally(() => {
      this.#restoring = undefined;
    });
    return this.#restoring;
  }

  release(): Promise<void> {
    return this.#lock.release();
  }

  async #makeAgain(health: DiskHealth): Promise<void> {
    await this.layout.makeDirectory();
    if (!(await this.#lock.isThere())) {
      const lost = this.#lock;
      this.#lock = await DirectoryLock.take(this.layout.directory).catch((err: unknown) => {
        if (err instanceof StoreError) health.giveUp(err);
        throw err;
      });
      await lost.release();
    }
    await this.layout.make("ours");
  }
}
