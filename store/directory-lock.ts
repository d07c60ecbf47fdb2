/**
 * One living process per directory. The holder listens on a Unix socket in it: the kernel closes that however the process
 * ends, so a refused connection means that no one lives there, whatever process ids have been given to others since.
 * A socket in the directory, not an abstract one, because containers that share a volume have different networks.
 */
import { randomBytes } from "node:crypto";
import { chmod, type FileHandle, open, readdir, rename, stat, unlink } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { errorCode } from "#base/errors.ts";
import { StoreError } from "./store-port.ts";

const prefix = ".lock-";
const unannounced = ".new";
// A socket's address has room for 107 bytes, 103 on some systems, the file's name included.
const longestDirectoryBytes = 100 - prefix.length - 16 - unannounced.length;

/** The claim of this process on a directory. */
export class DirectoryLock {
  readonly #directory: string;
  readonly #name = `${prefix}${randomBytes(8).toString("hex")}`;
  readonly #server: Server;
  #handle: FileHandle | undefined;

  private constructor(directory: string) {
    this.#directory = directory;
    this.#server = createServer((socket) => socket.on("error", () => {}).destroy()).unref();
  }

  /**
   * Claim the directory, taking over what a killed process left.
   *
   * @throws StoreError when another process has it.
   */
  static async take(directory: string): Promise<DirectoryLock> {
    // Two that start at the same moment see each other and both step back; an uneven wait lets one of them be first.
    for (let attempt = 0; attempt < 3; attempt++) {
      if (attempt > 0) await delay(20 + Math.random() * 100);
      const lock = new DirectoryLock(directory);
      if (await lock.#claim()) return lock;
    }
    throw new StoreError(
      `${directory} is in use by another running process: stop that one or choose another directory for this one`,
    );
  }

  /** Whether the claim is still to be seen in the directory, which may have been cleared away. */
  async isThere(): Promise<boolean> {
    return stat(join(this.#directory, this.#name)).then(
      () => true,
      () => false,
    );
  }

  async release(): Promise<void> {
    await unlink(join(this.#directory, this.#name)).catch(() => {});
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
    await this.#handle?.close();
  }

  /**
   * First announce, then look: of two that do so at least one sees the other. Names are never used twice, so removing
   * a dead one cannot hit a living one, and they are announced by rename, when the socket already answers.
   */
  async #claim(): Promise<boolean> {
    let isAlone = false;
    try {
      const address = await this.#addressDirectory();
      await listen(this.#server, `${address}/${this.#name}${unannounced}`);
      await chmod(join(this.#directory, this.#name + unannounced), 0o600);
      await rename(join(this.#directory, this.#name + unannounced), join(this.#directory, this.#name));
      isAlone = await this.#isAlone(address);
    } catch (err: unknown) {
      if (errorCode(err) !== "ENOENT") throw err; // cleared away by the one that has the directory, see below
    } finally {
      if (!isAlone) await this.release();
    }
    return isAlone;
  }

  async #isAlone(address: string): Promise<boolean> {
    const others = (await readdir(this.#directory)).filter((name) => name.startsWith(prefix) && name !== this.#name);
    for (const name of others.filter((other) => !other.endsWith(unannounced))) {
      if (await answers(`${address}/${name}`)) return false;
      await unlink(join(this.#directory, name)).catch(() => {});
    }
    // One that is about to announce itself fails for want of its file, and rightly so: this process has the directory.
    for (const name of others) await unlink(join(this.#directory, name)).catch(() => {});
    return true;
  }

  /** The directory as part of a socket's address: a long path is abbreviated by way of an open descriptor. */
  async #addressDirectory(): Promise<string> {
    if (Buffer.byteLength(this.#directory) <= longestDirectoryBytes) return this.#directory;
    this.#handle = await open(this.#directory, "r");
    return `/proc/self/fd/${this.#handle.fd}`;
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      server.on("error", () => {}); // out of descriptors: the claim stands all the same
      resolve();
    });
  });
}

/** Only a refusal proves that no one lives there; a full queue, or a socket of another user, does not. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (err) => resolve(!["ECONNREFUSED", "ENOENT"].includes(errorCode(err) ?? "")));
  });
}
