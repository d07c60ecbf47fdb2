/**
 * A link in a process of its own, so that it disturbs no other: `node bench/relay.ts link|bytes OPTIONS`, with the
 * options of the relay as JSON. When it is stopped it prints its counters.
 */
import { startByteRelay } from "#test/support/link/byte-relay.ts";
import { startLinkRelay } from "#test/support/link/link-relay.ts";

const [kind, options] = process.argv.slice(2) as [string, string];
const relay = await (kind === "link" ? startLinkRelay(JSON.parse(options)) : startByteRelay(JSON.parse(options)));
console.log("relaying");
process.once("SIGTERM", () => {
  if ("counters" in relay) console.log(JSON.stringify(relay.counters));
  void relay[Symbol.asyncDispose]();
});
