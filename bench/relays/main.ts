/**
 * A relay in a process of its own, so that it disturbs no other: `node bench/relays/main.ts KIND OPTIONS`, with the
 * options of the relay as JSON. When it is stopped it prints its counters.
 */
import { startSendTimeoutRelay } from "#test/support/proxies/send-timeout-relay.ts";
import { startNearCache } from "./near-cache.ts";
import type { RelayArguments } from "./start.ts";
import { startWatchedBytes, startWatchedLink } from "./watched-link.ts";

const [kind, options] = process.argv.slice(2) as [RelayArguments[0], string];
const starts = {
  link: startWatchedLink,
  bytes: startWatchedBytes,
  "near-cache": startNearCache,
  "send-timeout": startSendTimeoutRelay,
};
const relay = await starts[kind](JSON.parse(options));
console.log("relaying");
process.once("SIGTERM", () => {
  console.log(JSON.stringify(relay.counters));
  void relay[Symbol.asyncDispose]();
});
