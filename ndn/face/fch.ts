/**
 * Finding a router nearby through NDN-FCH, "find closest hub" (protocol of 2021: `GET ?cap=tcp&k=4&cap=udp&k=4`).
 */

import { raceAbort } from "#base/abort.ts";
import { type FaceUrl, type FchUrl, parseFaceUrl } from "./face-url.ts";

/** Routers asked for, for each transport. */
const routersEach = 4;
const timeoutMs = 10_000;

/**
 * The routers that the service names, nearest first: streams, which are faster here, before datagrams.
 *
 * @throws Error when the service does not answer in time or names none that can be used.
 */
export async function resolveFch({ service }: FchUrl, signal: AbortSignal): Promise<FaceUrl[]> {
  // Only who writes `fch:` needs the library.
  const { fchQuery } = await import("@ndn/autoconfig");
  const bound = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  const query = fchQuery({ server: service, transports: { tcp: routersEach, udp: routersEach }, signal: bound });
  const { routers } = await raceAbort(query, bound);
  const named = ["tcp", "udp"].flatMap((wanted) =>
    routers
      .filter(({ transport }) => transport === wanted)
      .slice(0, routersEach)
      .flatMap(({ connect }) => faceUrlOf(wanted, connect)),
  );
  if (named.length === 0) throw new Error("the FCH service names no router with TCP or UDP");
  return named;
}

/** What answers may be no FCH service, and the library takes any text for names of hosts. */
function faceUrlOf(transport: string, connect: string): FaceUrl[] {
  if (!/^(?:[a-z0-9][a-z0-9.-]*|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.test(connect)) return [];
  try {
    return [parseFaceUrl(`${transport}://${connect}`)];
  } catch {
    return []; // a port that is none
  }
}
