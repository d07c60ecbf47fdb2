import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { defaultDirectories, directoriesOf } from "#cli/default-directories.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";

const installed = "/usr/lib/node_modules/ndn-registry/cli";
const home = () => "/home/ann";

test("in a checkout everything lies below ./runtime, whatever the variables say", () => {
  const runtime = { cache: "./runtime/cache", state: "./runtime/state", keychain: "./runtime/keychain" };
  expect(defaultDirectories).toEqual(runtime);
  const env = { XDG_CACHE_HOME: "/c", STATE_DIRECTORY: "/s" };
  for (const program of ["/srv/ndn-registry/cli", "/srv/my_node_modules/cli"])
    expect(directoriesOf(program, env, home)).toEqual(runtime);
});

describe("installed, where the current directory is anyone's,", () => {
  test.each([installed, "/home/ann/app/node_modules/.pnpm/ndn-registry@1/node_modules/ndn-registry/dist/cli"])(
    "%s has the home's",
    (program) => {
      expect(directoriesOf(program, {}, home)).toEqual({
        cache: "/home/ann/.cache/ndn-registry",
        state: "/home/ann/.local/state/ndn-registry/state",
        keychain: "/home/ann/.config/ndn-registry/keychain",
      });
    },
  );

  test("XDG's variables move them; relative ones are ignored", () => {
    const env = { XDG_CACHE_HOME: "/c", XDG_STATE_HOME: "/s", XDG_CONFIG_HOME: "config" };
    expect(directoriesOf(installed, env, home)).toEqual({
      cache: "/c/ndn-registry",
      state: "/s/ndn-registry/state",
      keychain: "/home/ann/.config/ndn-registry/keychain",
    });
  });

  test("systemd's come first, also where there is no home", () => {
    const env = { CACHE_DIRECTORY: "/var/cache/a:/var/cache/b", STATE_DIRECTORY: "/var/lib/a", XDG_CACHE_HOME: "/c" };
    const noHome = () => {
      throw new Error("no home");
    };
    expect(directoriesOf(installed, env, noHome)).toEqual({
      cache: "/var/cache/a",
      state: "/var/lib/a/state",
      keychain: "/var/lib/a/keychain",
    });
  });

  test("the key is in systemd's configuration directory where the service may write there", async () => {
    await using folder = await makeTemporaryFolder();
    const configuration = join(folder.path, "etc");
    await mkdir(configuration);
    const env = { CONFIGURATION_DIRECTORY: configuration, STATE_DIRECTORY: "/var/lib/a" };
    expect(directoriesOf(installed, env, home).keychain).toBe(join(configuration, "keychain"));
    const missing = { ...env, CONFIGURATION_DIRECTORY: join(folder.path, "none") };
    expect(directoriesOf(installed, missing, home).keychain).toBe("/var/lib/a/keychain");
    if (process.getuid?.() === 0) return; // may write everywhere
    await chmod(configuration, 0o555);
    expect(directoriesOf(installed, env, home).keychain).toBe("/var/lib/a/keychain");
  });
});
