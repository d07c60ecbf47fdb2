import type { SourceName } from "#blob/source.ts";
import type { Outcome } from "#client/status/metrics.ts";
import { askManifest, beginBlob, digestOf, healthy, type StatusStage } from "./stage.ts";

type Bytes = Partial<Record<SourceName, number>>;

interface Words {
  whyNotNdn?: string;
  reason?: string;
}

interface Image {
  repository: string;
  reference: string;
  client?: string;
  registry?: string;
}

const done: { image: Image; bytes: Bytes; end?: Outcome; ms: number; status?: number; words?: Words }[] = [
  { image: { repository: "library/debian", reference: "trixie-slim" }, bytes: { store: 29_775_003 }, ms: 410 },
  {
    image: {
      repository: "team/very/long/path/to/some/inference-server",
      reference: "2026-11-21-nightly-cuda",
      client: "2001:db8::17:42",
      registry: "registry.example",
    },
    bytes: { ndn: 3.1e9, upstream: 0.4e9 },
    end: "broken",
    ms: 75_000,
    words: {
      whyNotNdn: "segment 41213 unanswered for 15000 ms",
      reason: "sha256:11111111: every source stopped by byte 3500000000",
    },
  },
  { image: { repository: "team/secret", reference: digestOf("9") }, bytes: {}, ms: 100, status: 401 },
  { image: { repository: "library/postgres", reference: "18" }, bytes: { ndn: 61e6, store: 39e6 }, ms: 3_200 },
  { image: { repository: "library/alpine", reference: "3.22", client: "127.0.0.1" }, bytes: {}, ms: 900 },
];

/** Fill the page with a working day: pulls over and running, all outcomes. The answer lets the running ones go on. */
export function keepBusy(stage: StatusStage): () => void {
  const { pulls, metrics, clock } = stage;
  const begin = ({ client = "192.0.2.17", registry = "docker.io", ...image }: Image, status = 200) => {
    const puller = { client, registry, repository: image.repository };
    askManifest(pulls, { ...puller, reference: image.reference, status });
    return (digit: string, sizeBytes?: number) => {
      const blob = beginBlob(pulls, { ...puller, digest: digestOf(digit) });
      if (sizeBytes !== undefined) blob.sized(sizeBytes);
      const take = (bytes: Bytes) => {
        if (bytes.upstream) blob.says({ whyNotNdn: "NDN was later than the upstream (--hedge)" });
        for (const [source, count] of Object.entries(bytes)) {
          blob.wrote(source as SourceName, count);
          metrics.blobBytes.inc({ source }, count);
        }
      };
      return { take, says: (words: Words) => blob.says(words), end: (outcome: Outcome) => blob.ended(outcome) };
    };
  };
  for (const { image, bytes, end, ms, status, words = {} } of done) {
    const open = begin(image, status);
    const blob = Object.keys(bytes).length > 0 ? open("1") : undefined;
    blob?.take(bytes);
    blob?.says(words);
    clock.ms += ms;
    blob?.end(end ?? "complete");
    clock.ms += 60_000;
  }
  const jupyter = begin({ repository: "jupyter/scipy-notebook", reference: "latest" });
  const [large, cached, unsized] = [jupyter("4", 812e6), jupyter("5", 96e6), jupyter("6")];
  large.take({ ndn: 402e6, upstream: 101e6 });
  cached.take({ store: 70e6 });
  unsized.take({ upstream: 3_400_000 });
  begin({ repository: "library/node", reference: "24", client: "127.0.0.1" })("7", 52e6);
  const shares = { store: 1_204, follower: 88, miss: 391, bypass: 12 };
  for (const [result, count] of Object.entries(shares)) metrics.blobRequests.inc({ result }, count);
  return () => large.take({ ndn: 21e6, upstream: 2e6 });
}

/** Three uplinks in all states, registries with and without quota, and a store. */
export function equip(stage: StatusStage): void {
  stage.store = { usedBytes: 7.31e9, maxBytes: 10 * 2 ** 30, blobs: 412 };
  const counters = { interests: 0, retransmissions: 0, nacks: 0, reads: 0, waiting: 0 };
  const common = { isResting: false, rttMs: 0, window: 32, ...counters };
  const busy = { rttMs: 18.32, window: 148, interests: 441_207, retransmissions: 3_120, reads: 9, waiting: 31 };
  stage.uplinks.push(
    { ...common, describe: "unix:///run/nfd/nfd.sock", up: true, ...busy },
    { ...common, describe: "udp://router.campus.example:6363", up: true, isResting: true, rttMs: 104, nacks: 2 },
    { ...common, describe: "tcp://198.51.100.7:6363", up: false },
  );
  stage.registries.push(
    { name: "registry.example", upstream: new URL("https://registry.example:8443/mirror/") },
    { name: "quay.example", upstream: new URL("https://quay.example/") },
  );
  stage.health.registries.push(
    healthy("docker.io"),
    healthy("registry.example", {
      upstream: "down",
      upstreamTrouble: "cannot be reached: its certificate is of an authority that is not trusted here",
      ndn: "untrusted",
      ndnTrouble: "the anchor does not fit the server's certificate (not-anchored): compare with ndn-registry key show",
    }),
    healthy("quay.example", { ndn: "off", prefix: null }),
  );
  stage.health.missing.push(
    "upstream https://registry.example:8443/mirror/ cannot be reached: its certificate is of an authority that is not trusted here",
    "uplink tcp://198.51.100.7:6363 is down",
  );
  for (const [registry, remaining] of Object.entries({ "docker.io": 12, "registry.example": 188 })) {
    stage.metrics.rateLimit.set({ registry }, 200);
    stage.metrics.rateLimitRemaining.set({ registry }, remaining);
  }
}
