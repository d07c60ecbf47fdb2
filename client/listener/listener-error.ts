/** A file of the listener that cannot be used; the message names the file and what is wrong with it. */
export class ListenerFileError extends Error {
  override readonly name = "ListenerFileError";
}
