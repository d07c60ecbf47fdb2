/**
 * The verbs of the command line. Only the one that was chosen is loaded: the others would cost each process some 30 MB.
 */
import {
  cacheAddOptions,
  cacheListOptions,
  cachePinOptions,
  cachePruneOptions,
  cacheRemoveOptions,
  cacheVerifyOptions,
} from "./cache/options.ts";
import { clientOptions, clientSecrets } from "./client-options.ts";
import { configureOptions } from "./configure/options.ts";
import { keyExportOptions, keyImportOptions, keyRenewOptions, keySecrets, keyShowOptions } from "./key/options.ts";
import { networkVariables } from "./network/variables.ts";
import { serverOptions, serverSecrets } from "./server-options.ts";
import { startOptions } from "./start-options.ts";
import { completionOptions, runCompletion } from "./verbs/completion.ts";
import type { Verb, VerbGroup } from "./verbs/verb.ts";

const start: Verb<typeof startOptions> = {
  name: "start",
  help: "Both halves in one process: try it on one machine, without a forwarder",
  options: startOptions,
  secrets: { ...clientSecrets, ...serverSecrets, ...networkVariables },
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
  secrets: { ...serverSecrets, ...networkVariables },
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
  secrets: { ...clientSecrets, ...networkVariables },
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
  help: "List the images that are cached, last used first, and blobs that belong to none",
  options: cacheListOptions,
  examples: [["$0 cache ls --json", "for programs, with every blob"]],
  run: async (values) => (await import("./cache.ts")).runCacheList(values),
};

const cacheRemove: Verb<typeof cacheRemoveOptions> = {
  name: "rm",
  help: "Forget images, with what no other image needs, or single blobs",
  options: cacheRemoveOptions,
  examples: [
    ["$0 cache rm alpine:3.20", "the only cached image whose name ends so"],
    ["$0 cache rm 4bcff63911fc", "by the beginning of a digest"],
  ],
  run: async (values) => (await import("./cache.ts")).runCacheRemove(values),
};

const cacheAdd: Verb<typeof cacheAddOptions> = {
  name: "add",
  help: "Have the running client fetch images ahead of their pullers",
  options: cacheAddOptions,
  examples: [
    ["$0 cache add alpine:3.20", "this machine's platform"],
    ["$0 cache add registry.example/team/app:1.4 --platform linux/amd64 --platform linux/arm64", "two platforms"],
  ],
  run: async (values) => (await import("./cache.ts")).runCacheAdd(values),
};

const cachePin: Verb<typeof cachePinOptions> = {
  name: "pin",
  help: "Keep images from eviction, and what their tags come to mean",
  options: cachePinOptions,
  examples: [["$0 cache add alpine:3.20 && $0 cache pin alpine:3.20", "there to stay"]],
  run: async (values) => (await import("./cache.ts")).runCachePin(values),
};

const cacheUnpin: Verb<typeof cachePinOptions> = {
  name: "unpin",
  help: "Let pinned images be evicted again",
  options: cachePinOptions,
  examples: [["$0 cache unpin alpine:3.20", "evicted like any other from now on"]],
  run: async (values) => (await import("./cache.ts")).runCacheUnpin(values),
};

const cacheVerify: Verb<typeof cacheVerifyOptions> = {
  name: "verify",
  help: "Read every blob and forget those that are not what their digest says; exit status 1 if there are any",
  options: cacheVerifyOptions,
  examples: [["$0 cache verify", "after a crash of the disk, for example"]],
  run: async (values) => (await import("./cache.ts")).runCacheVerify(values),
};

const cachePrune: Verb<typeof cachePruneOptions> = {
  name: "prune",
  help: "Forget what was not used for longest, but nothing that is pinned",
  options: cachePruneOptions,
  examples: [["$0 cache prune --to 2GiB", "leave 2 GiB"]],
  run: async (values) => (await import("./cache.ts")).runCachePrune(values),
};

const cache: VerbGroup = {
  name: "cache",
  help: "Look at what the client has cached, add to it, pin it, and forget some",
  verbs: [cacheList, cacheAdd, cacheRemove, cachePin, cacheUnpin, cacheVerify, cachePrune],
};

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
  secrets: keySecrets,
  examples: [["$0 key import registry.safebag --password-file passphrase", "from ndnsec export"]],
  run: async (values) => (await import("./key.ts")).runKeyImport(values),
};

const key: VerbGroup = {
  name: "key",
  help: "Look at the server's signing key, renew it, or bring one along",
  verbs: [keyShow, keyRenew, keyExport, keyImport],
};

const completion: Verb<typeof completionOptions> = {
  name: "completion",
  help: "Print a script that completes commands and options in bash or zsh",
  options: completionOptions,
  examples: [["source <($0 completion bash)", "in ~/.bashrc"]],
  run: runCompletion,
};

/** Everything that the program can be told to do. */
export const verbs: readonly (Verb | VerbGroup)[] = [start, server, client, configure, cache, key, completion];
