/** What a new user types first: help, version, mistyped words, Tab. */
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { checkout } from "#test/support/programs.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { run } from "#test/support/run.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { runExecutable } from "./executable.ts";

const cwd = checkout;

test.each([[["--help"]], [["-h"]], [["help"]]])("%j lists the commands, with status 0", async (args) => {
  const { status, stdout, stderr } = await runExecutable(args, { cwd });
  for (const verb of ["start", "server", "client", "configure", "cache", "key", "completion"]) {
    expect(stdout).toMatch(new RegExp(`^ {2}ndn-registry ${verb} `, "m"));
  }
  expect([status, stderr]).toEqual([0, ""]);
});

test.each([[["client", "-h"]], [["help", "client"]]])("%j lists the options of one", async (args) => {
  const { status, stdout } = await runExecutable(args, { cwd });
  expect([status, stdout]).toEqual([0, expect.stringContaining("--upstream")]);
});

test.each([["--version"], ["-v"]])("%s is the package's version", async (flag) => {
  const { version } = JSON.parse(await readFile(join(checkout, "package.json"), "utf8")) as { version: string };
  expect(await runExecutable([flag], { cwd })).toEqual({ status: 0, stdout: `${version}\n`, stderr: "" });
});

test("help is in English as our own words are, whatever the locale", async () => {
  const env = { LANG: "de_DE.UTF-8", LC_ALL: "de_DE.UTF-8" };
  expect((await runExecutable(["--help"], { cwd, env })).stdout).toMatch(/^Commands:$/m);
});

test("help names the variables of logins, which have no flag", async () => {
  const helpOf = async (...verb: string[]) => (await runExecutable([...verb, "--help"], { cwd })).stdout;
  expect(await helpOf("client")).toMatch(/DOCKERHUB_USERNAME .*DOCKERHUB_PASSWORD .*DOCKERHUB_PASSWORD_FILE /s);
  expect(await helpOf("server")).toMatch(/DOCKER_NDN_REGISTRY_USERNAME .*DOCKER_NDN_REGISTRY_PASSWORD_FILE /s);
  expect(await helpOf("start")).toMatch(/DOCKERHUB_PASSWORD .*DOCKER_NDN_REGISTRY_PASSWORD /s);
  expect(await helpOf("key", "import")).toContain("DOCKER_NDN_SAFEBAG_PASSWORD");
});

describe("a mistyped word is one line that says what was probably meant", () => {
  test.each([
    [["clinet"], "there is no command clinet; did you mean client?"],
    [["serve"], "there is no command serve; did you mean server?"],
    [["cache", "pruen"], "there is no command cache pruen; did you mean cache prune?"],
    [["images"], /there is no command images; the commands are start, server, client/],
    [["client", "--upstram", "http://a"], "there is no option --upstram; did you mean --upstream?"],
    [["client", "-naem", "/a"], "there is no option --naem; did you mean --name?"],
    [["cache", "ls", "--cachedir", "a"], "there is no option --cachedir; did you mean --cache-dir?"],
    [["client", "--zzz"], "there is no option --zzz (see client --help)"],
    [["client", "--no-hedge"], "there is no option --no-hedge (see client --help)"],
    [["client", "--registry", "http://a"], "--registry is an option of server, not of client"],
    [["server", "--listen", ":5000"], "--listen is an option of start, client, not of server"],
    [["client", "extra"], 'client takes nothing more, but got "extra" (see --help)'],
  ])("%j", async (args, message) => {
    const { status, stderr } = await runExecutable(args, { cwd });
    expect(stderr).toMatch(typeof message === "string" ? `ndn-registry: ${message}\n` : message);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(status).toBe(2);
  });
});

test("an option may be written with one dash, as Go's programs have it", async () => {
  const { status, stderr } = await runExecutable(["client", "-name", "/a", "-upstream", "ftp://a"], { cwd });
  expect([status, stderr]).toEqual([2, expect.stringMatching(/^ndn-registry: --upstream: "ftp:\/\/a" is not/)]);
});

test("the script is that of the shell that is named, else of the login shell", async () => {
  const scriptOf = async (args: string[], SHELL: string) =>
    (await runExecutable(["completion", ...args], { cwd, env: { SHELL } })).stdout;
  expect(await scriptOf(["bash"], "/bin/zsh")).toContain("complete -o bashdefault");
  expect(await scriptOf(["zsh"], "/bin/bash")).toMatch(/^#compdef ndn-registry\n/);
  expect(await scriptOf([], "/usr/bin/zsh")).toMatch(/^#compdef/);
  expect(await scriptOf([], "")).toContain("complete -o bashdefault");
});

describeWith(["bash"], "completion in bash", () => {
  test("offers commands, options and their values, also where the login shell is zsh", async () => {
    await using folder = await makeTemporaryFolder();
    const program = join(folder.path, "ndn-registry");
    await writeFile(program, `#!/bin/sh\nexec "${process.execPath}" "${join(checkout, "cli/main.js")}" "$@"\n`);
    await chmod(program, 0o755);
    const script = `
      eval "$(ndn-registry completion bash)"
      on_tab() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ndn_registry; echo "\${COMPREPLY[*]}"; }
      on_tab ndn-registry co
      on_tab ndn-registry cache v
      on_tab ndn-registry configure d
      on_tab ndn-registry client --upl
      on_tab ndn-registry client --authorize no
      on_tab ndn-registry client --config /etc/ho`;
    const env = { PATH: `${folder.path}:${process.env.PATH}`, SHELL: "/bin/zsh" };
    const { stdout } = await run("bash", ["-c", script], { env });
    expect(stdout.split("\n")).toEqual(["configure completion", "verify", "docker", "--uplink", "none", "", ""]);
  });
});
