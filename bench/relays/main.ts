/**
 * A relay in a process of its own, so that it disturbs no other: `node bench/relays/main.ts KIND OPTIONS`, with the
 * options of the relay as JSON. When it is stopped it prints its counters.
 */
import { startByteRelay } from "#test/support/link/byte-relay.ts";
import { startSendTimeoutRelay } from "#test/support/proxies/send-timeout-relay.ts";
import type { RelayArguments } from "./start.ts";
import { startWatchedLink } from "./watched-link.ts";

const [kind, options] = process.argv.slice(2) as [RelayArguments[0], string];
const start = { link: startWatchedLink, bytes: startByteRelay, "send-timeout": startSendTimeoutRelay }[kind];
const relay = await start({ ...JSON.parse(options), isAlone: true });
console.log("relaying");
process.once("SIGTERM", () => {
  if ("counters" in relay) console.log(JSON.stringify(relay.counters));
  void relay[Symbol.asyncDispose]();
});
