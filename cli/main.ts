#!/usr/bin/env node
/**
 * The executable: finds the verb, reads its options, and turns failures into exit statuses
 * (2: the command line or the environment is wrong; 1: anything else). Only the verb that was chosen is loaded: the
 * others would cost each process some 30 MB.
 */
import yargs, { type Argv } from "yargs";
import { KeychainError } from "#ndn/trust/errors.ts";
import { cacheListOptions, cachePruneOptions, cacheRemoveOptions, cacheVerifyOptions } from "./cache/options.ts";
import { clientOptions, clientSecrets } from "./client-options.ts";
import { configureOptions } from "./configure/options.ts";
import { CommandError, StartError } from "./errors.ts";
import { collectLessOften, keepYoungGenerationSmall } from "./garbage-collector.ts";
import { keyExportOptions, keyImportOptions, keyRenewOptions, keySecrets, keyShowOptions } from "./key/options.ts";
import { hasVariable, OptionError, variableOf } from "./option.ts";
import { serverOptions, serverSecrets } from "./server-options.ts";
import { startOptions } from "./start-options.ts";
import { addVerb, type Options, type Verb } from "./verb.ts";

const start: Verb<typeof startOptions> = {
  name: "start",
  help: "Both halves in one process: try it on one machine, without a forwarder",
  options: startOptions,
  examples: [
    ["$0 start", "Docker Hub through localhost:5000"],
    ["$0 start --upstream http://127.0.0.1:5001 --listen 127.0.0.1:5050", "a registry of your own"],
  ],
  run: async (values) => (await import("./start.ts")).runStart(values),
};

const server: Verb<typeof serverOptions> = {
  name: "server",
  help: "The registry host's half: publish a registry's blobs over NDN",
  options: serverOptions,
  examples: [
    ["$0 server --registry http://127.0.0.1:5001 --name /example/registry", "through the local NFD"],
    ["$0 server --registry http://127.0.0.1:5001 --name /example/registry --face tcp://0.0.0.0:6363", "no forwarder"],
  ],
  run: async (values) => (await import("./server.ts")).runServer(values),
};

const client: Verb<typeof clientOptions> = {
  name: "client",
  help: "The puller's half: a registry endpoint whose blobs come over NDN",
  options: clientOptions,
  examples: [
    ["$0 client --upstream https://registry.example --name /example/registry", "through the local NFD"],
    [
      "$0 client --upstream https://registry.example --name /example/registry --uplink tcp://192.0.2.1:6363",
      "straight to a server's --face",
    ],
  ],
  run: async (values) => (await import("./client.ts")).runClient(values),
};

const configure: Verb<typeof configureOptions> = {
  name: "configure",
  help: "Make the client's endpoint a mirror of this machine's Docker, containerd or Podman",
  options: configureOptions,
  examples: [
    ["$0 configure docker --print", "look at what would be written"],
    ["sudo $0 configure containerd --for docker.io --for registry.example", "a mirror of two registries"],
    ["sudo $0 configure docker --undo", "as it was before"],
  ],
  run: async (values) => (await import("./configure.ts")).runConfigure(values),
};

const cacheList: Verb<typeof cacheListOptions> = {
  name: "ls",
  help: "List the blobs that are cached, last used first",
  options: cacheListOptions,
  examples: [["$0 cache ls --format json", "for programs"]],
  run: async (values) => (await import("./cache.ts")).runCacheList(values),
};

const cacheRemove: Verb<typeof cacheRemoveOptions> = {
  name: "rm",
  help: "Forget blobs",
  options: cacheRemoveOptions,
  examples: [],
  run: async (values) => (await import("./cache.ts")).runCacheRemove(values),
};

const cacheVerify: Verb<typeof cacheVerifyOptions> = {
  name: "verify",
  help: "Read every blob and forget those that are not what their digest says; exit status 1 if there are any",
  options: cacheVerifyOptions,
  examples: [],
  run: async (values) => (await import("./cache.ts")).runCacheVerify(values),
};

const cachePrune: Verb<typeof cachePruneOptions> = {
  name: "prune",
  help: "Forget what was not used for longest",
  options: cachePruneOptions,
  examples: [["$0 cache prune --to 2GiB", "leave 2 GiB"]],
  run: async (values) => (await import("./cache.ts")).runCachePrune(values),
};

function addCache(cli: Argv): Argv {
  const commands = (builder: Argv) =>
    add(add(add(add(builder, cacheList), cacheRemove), cacheVerify), cachePrune).demandCommand(
      1,
      "a command is needed: ls, rm, verify or prune",
    );
  return cli.command("cache", "Look at the blobs that the client holds, and forget some", commands);
}

const keyShow: Verb<typeof keyShowOptions> = {
  name: "show",
  help: "Show the certificate's name, digest, kind and validity",
  options: keyShowOptions,
  examples: [],
  run: async (values) => (await import("./key.ts")).runKeyShow(values),
};

const keyRenew: Verb<typeof keyRenewOptions> = {
  name: "renew",
  help: "Make a new certificate, which the old one vouches for",
  options: keyRenewOptions,
  examples: [["$0 key renew --new-key", "with a new key"]],
  run: async (values) => (await import("./key.ts")).runKeyRenew(values),
};

const keyExport: Verb<typeof keyExportOptions> = {
  name: "export",
  help: "Write the certificate in base64, for --anchor and for issuers",
  options: keyExportOptions,
  examples: [["$0 key export registry.ndncert", "into a file that everyone may read"]],
  run: async (values) => (await import("./key.ts")).runKeyExport(values),
};

const keyImport: Verb<typeof keyImportOptions> = {
  name: "import",
  help: "Take over a key and certificate (ndnsec SafeBag), or a certificate issued for the key that is here",
  options: keyImportOptions,
  examples: [["$0 key import registry.safebag --password-file passphrase", "from ndnsec export"]],
  run: async (values) => (await import("./key.ts")).runKeyImport(values),
};

function addKey(cli: Argv): Argv {
  const commands = (builder: Argv) =>
    add(add(add(add(builder, keyShow), keyRenew), keyExport), keyImport).demandCommand(
      1,
      "a command is needed: show, renew, export or import",
    );
  return cli.command("key", "Look at the server's signing key, renew it, or bring one along", commands);
}

function add<S extends Options>(cli: Argv, verb: Verb<S>): Argv {
  return addVerb(cli, verb, () => warnOfUnknownVariables(process.env));
}

/** A mistyped variable would otherwise be ignored in silence. Variables of other verbs are fine: one `.env` serves all. */
function warnOfUnknownVariables(env: Readonly<Record<string, string | undefined>>): void {
  const programs: Options[] = [serverOptions, clientOptions, startOptions, configureOptions];
  const keys: Options[] = [keyShowOptions, keyRenewOptions, keyExportOptions, keyImportOptions];
  const all = [...programs, ...keys, cacheListOptions, cacheRemoveOptions, cacheVerifyOptions, cachePruneOptions];
  const known = new Set(Object.keys({ ...clientSecrets, ...serverSecrets, ...keySecrets }));
  for (const options of all)
    for (const option of Object.values(options)) if (hasVariable(option)) known.add(variableOf(option.flag));
  const unknown = Object.keys(env).filter((name) => name.startsWith("DOCKER_NDN_") && !known.has(name));
  if (unknown.length > 0) process.stderr.write(`ndn-registry: unknown environment variables: ${unknown.join(", ")}\n`);
}

function exitStatus(err: unknown): number {
  if (err instanceof OptionError) return 2;
  return 1;
}

function report(err: unknown): void {
  const expected = [OptionError, StartError, CommandError, KeychainError].some((kind) => err instanceof kind);
  const text = expected ? (err as Error).message : ((err as Error)?.stack ?? String(err));
  process.stderr.write(`ndn-registry: ${text}\n`);
}

async function main(args: readonly string[]): Promise<void> {
  const cli = yargs([...args])
    .scriptName("ndn-registry")
    .usage("$0 <command> [options]\n\nContainer images over Named Data Networking.")
    .epilogue("Every option with a value is also an environment variable DOCKER_NDN_<OPTION>; see sample.env.")
    .strict()
    .demandCommand(1, "a command is needed: start, server or client, configure, cache or key")
    .parserConfiguration({ "camel-case-expansion": false, "duplicate-arguments-array": true })
    .wrap(110)
    .exitProcess(false)
    .fail((message, err) => {
      // What yargs itself finds wrong comes with or without an error of its own.
      throw err === undefined || err.name === "YError" ? new OptionError(`${message} (see --help)`) : err;
    });
  addKey(addCache(add(add(add(add(cli, start), server), client), configure)));
  await cli.parseAsync();
}

// `… | head` has enough, which is no failure.
process.stdout.on("error", (err: NodeJS.ErrnoException) => {
  if (err.code !== "EPIPE") throw err;
  process.exit();
});
collectLessOften();
keepYoungGenerationSmall();
main(process.argv.slice(2)).catch((err: unknown) => {
  report(err);
  process.exitCode = exitStatus(err);
  // What was opened before the failure must not keep the process alive.
  setImmediate(() => process.exit());
});
