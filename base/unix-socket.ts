/**
 * Listening on a path of the file system (unix(7)).
 */
import { lstatSync, rmSync, statSync } from "node:fs";
import { connect, type Server } from "node:net";
import { dirname } from "node:path";

/** What a socket's address holds at most, without the byte that ends it. */
const maxPathBytes = 107;

/**
 * Listen on a socket file, in the place of one that is left over from a crash. Node removes it when the server closes.
 *
 * @param mode - Of the file, from the moment on at which it is there; as the umask has it unless given.
 * @throws Error when the path is taken, by a program that listens or by another kind of file, or cannot be used.
 */
export async function listenOnPath(server: Server, path: string, mode?: number): Promise<void> {
  if (Buffer.byteLength(path) > maxPathBytes) throw new Error(`the path is longer than ${maxPathBytes} bytes`);
  if (!statSync(dirname(path), { throwIfNoEntry: false })?.isDirectory()) {
    throw new Error(`${dirname(path)} is no directory`); // Node would say that it is not permitted
  }
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there?.isSocket() === false) throw new Error("there is a file already, which is no socket");
  // A file that no one listens on is left over from a crash; that of a program that listens stays, and is an error.
  if (there && (await refuses(path))) rmSync(path, { force: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  // The file is made within the call.
  const mask = mode === undefined ? undefined : process.umask(0o777 & ~mode);
  server.listen(path, resolve);
  if (mask !== undefined) process.umask(mask);
  await promise.finally(() => server.off("error", reject));
}

function refuses(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(false);
    });
    probe.once("error", (err: NodeJS.ErrnoException) => resolve(err.code === "ECONNREFUSED" || err.code === "ENOENT"));
  });
}
