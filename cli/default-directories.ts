/**
 * Where a program keeps its files unless an option says so: below `./runtime` in a checkout, and in the places of the
 * system where it is installed, since there the current directory is anyone's.
 */
import { accessSync, constants } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join, sep } from "node:path";

/** Directories, each for one option. */
export interface Directories {
  readonly cache: string;
  readonly state: string;
  readonly keychain: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Those of this program. */
export const defaultDirectories: Directories = directoriesOf(import.meta.dirname, process.env);

/**
 * systemd's variables come first (systemd.exec(5), RuntimeDirectory=), then XDG's, then XDG's defaults below the home.
 *
 * @param program - Where the program lies; below `node_modules` it is installed.
 */
export function directoriesOf(program: string, env: Environment, home: () => string = homeOrRoot): Directories {
  if (!program.split(sep).includes("node_modules")) {
    return { cache: "./runtime/cache", state: "./runtime/state", keychain: "./runtime/keychain" };
  }
  const xdg = (variable: string, otherwise: string) => {
    const base = env[variable];
    // What is relative is to be ignored, says the XDG Base Directory Specification.
    return join(base && isAbsolute(base) ? base : join(home(), otherwise), "ndn-registry");
  };
  const [cache, state, configuration] = ["CACHE", "STATE", "CONFIGURATION"].map((kind) => {
    return env[`${kind}_DIRECTORY`]?.split(":", 1)[0] || undefined; // several are set apart by colons
  });
  // A service's user may mostly not write into its configuration, and the key is made on first run.
  const keys = configuration && isWritable(configuration) ? configuration : state;
  return {
    cache: cache ?? xdg("XDG_CACHE_HOME", ".cache"),
    state: join(state ?? xdg("XDG_STATE_HOME", ".local/state"), "state"),
    keychain: join(keys ?? xdg("XDG_CONFIG_HOME", ".config"), "keychain"),
  };
}

/** A user without an entry in the system's list may have none; for its programs the home is `/`, as a login has it. */
function homeOrRoot(): string {
  try {
    return homedir();
  } catch {
    return "/";
  }
}

function isWritable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false; // or it is not there: then the other one is
  }
}
