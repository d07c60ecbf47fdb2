/**
 * Wrong packets over NDN: counted each, and one line in the log per blob and minute.
 */
import { LRUCache } from "lru-cache";
import type { Logger } from "pino";
import type { PacketEvents } from "#blob/trusted-packets.ts";
import { formatName } from "#ndn/packet/name.ts";
import type { Digest } from "#oci/reference.ts";
import type { ClientMetrics } from "./metrics.ts";

/** Blobs that are remembered as warned of. */
const maxWarned = 1_000;
const warnEveryMs = 60_000;

/** What is done about wrong packets on one uplink. */
export function wrongPackets(metrics: ClientMetrics, log: Logger): (uplink: string) => PacketEvents {
  const warned = new LRUCache<Digest, true>({ max: maxWarned, ttl: warnEveryMs });
  return (uplink) => ({
    untrusted(name, reason) {
      metrics.packetsUntrusted.inc();
      log.warn({ uplink, packet: formatName(name), reason: reason.message }, "a packet is not believed; asking again");
    },
    wrong({ digest, repository }, segment) {
      metrics.segmentsWrong.inc();
      const fields = { uplink, repository, digest, segment };
      if (warned.has(digest)) log.debug(fields, "a segment is not the right one");
      else log.warn(fields, "a segment is not the right one; it is replaced, and so are others of this blob");
      warned.set(digest, true);
    },
    repaired({ digest }, segment, how) {
      metrics.segmentsRepaired.inc({ how });
      log.debug({ uplink, digest, segment, how }, "a wrong segment was replaced");
    },
  });
}
