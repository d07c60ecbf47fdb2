/**
 * What `configure` puts into a puller's configuration file, and how it gets out again.
 */
import type { Endpoint } from "./endpoint.ts";

/** An entry of ours in one file. Both directions are pure, so that `--print` shows what would be written. */
export interface Entry {
  /** Path on the machine that is configured, e.g. `/etc/docker/daemon.json`. */
  readonly path: string;
  /** Whether the file's directory exists for the file alone, and goes with it. */
  readonly ownFolder?: boolean;
  /** Whether the whole file is this command's, so that there is nothing of others to keep. */
  readonly ownFile?: boolean;
  /** What is noted beside the file while the entry is in it, where the file itself has no room for a remark. */
  readonly note?: string | undefined;
  /**
   * The file with the entry in it; the same text when it is there already.
   *
   * @param text - undefined when there is no file.
   * @throws CommandError when the text cannot be understood or changed safely; it does not name the file, which may be
   * below another root.
   */
  add(text: string | undefined, beside: Beside): string;
  /**
   * The file without the entry: the same text when there is none, undefined when nothing else is left.
   *
   * @throws CommandError as `add`.
   */
  remove(text: string, beside: Beside): string | undefined;
}

/** What lies beside a file. */
export interface Beside {
  /** The file before an entry came into it, if it was there: what it has is not ours. */
  readonly backup: string | undefined;
  /** The `note` of the entry that was put in last. */
  readonly note: string | undefined;
}

/** What is asked for on the command line. */
export interface Request {
  readonly endpoint: Endpoint;
  /** Whether it was named; else it is the default. */
  readonly isEndpointNamed: boolean;
  /** `--for`; empty when not given. */
  readonly registries: readonly string[];
  /** Folder that stands for `/`. */
  readonly root: string;
  readonly undo: boolean;
  /** Whether nothing but the endpoint is to be asked; containerd's alone. */
  readonly only: boolean;
}

/** Everything that one puller needs. */
export interface Plan {
  readonly entries: readonly Entry[];
  /** What the operator should know, a sentence each. */
  readonly notes: readonly string[];
  /** What makes the puller read its configuration again. */
  readonly restart: string;
}
