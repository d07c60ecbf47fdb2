/**
 * Wrong packets over NDN: counted each, and one line in the log per blob and minute.
 */
import { LRUCache } from "lru-cache";
import type { Logger } from "pino";
import type { PacketEvents } from "#blob/ndn-source.ts";
import { formatName } from "#ndn/packet/name.ts";
import type { Digest } from "#oci/digest.ts";
import type { ClientMetrics } from "./metrics.ts";

const maxTold = 1_000;
const toldMs = 60_000;

/** What is done about wrong packets on one uplink. */
export function wrongPackets(metrics: ClientMetrics, log: Logger): (uplink: string) => PacketEvents {
  const told = new LRUCache<Digest, true>({ max: maxTold, ttl: toldMs });
  return (uplink) => ({
    untrusted(name, reason) {
      metrics.packetsUntrusted.inc();
      log.warn({ uplink, packet: formatName(name), reason: reason.message }, "a packet is not believed; asking again");
    },
    wrong({ digest, repository }, segment) {
      metrics.segmentsWrong.inc();
      const fields = { uplink, repository, digest, segment };
      if (told.has(digest)) log.debug(fields, "a segment is not the right one");
      else log.warn(fields, "a segment is not the right one; it is replaced, and so are others of this blob");
      told.set(digest, true);
    },
    repaired({ digest }, segment, how) {
      metrics.segmentsRepaired.inc({ how });
      log.debug({ uplink, digest, segment, how }, "a wrong segment was replaced");
    },
  });
}
