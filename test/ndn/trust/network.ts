/**
 * A network that has certificates, and a verifier that asks it.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { formatName, type Name, parseName } from "#ndn/packet/name.ts";
import { TrustAnchors } from "#ndn/trust/anchors.ts";
import { CertificateDirectory } from "#ndn/trust/certificate-directory.ts";
import { Untrusted } from "#ndn/trust/errors.ts";
import { createVerifier, type Verifier } from "#ndn/trust/verifier.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { type Authority, nowMs } from "./authority.ts";

/** The prefix that everything is published under. */
export const prefix = parseName("/example/registry");

/** Certificates that can be had, and what was asked for. */
export class CertificateNetwork {
  readonly asked: string[] = [];
  /** What was asked for so that no cache answers. */
  readonly askedPastCaches: string[] = [];
  /** What a cache on the way answers, by name. */
  readonly cache = new Map<string, Uint8Array>();
  readonly published: Authority[];
  /** What happens before each answer. */
  before: (name: Name, signal: AbortSignal) => Promise<void> = () => Promise.resolve();

  constructor(...published: Authority[]) {
    this.published = published;
  }

  readonly fetch = async (name: Name, signal: AbortSignal, isPastCaches?: boolean): Promise<Uint8Array> => {
    (isPastCaches ? this.askedPastCaches : this.asked).push(formatName(name));
    await this.before(name, signal);
    const cached = isPastCaches ? undefined : this.cache.get(formatName(name));
    if (cached) return cached;
    const wire = new CertificateDirectory(
      this.published.map(({ ours }) => ours),
      () => nowMs,
    ).answer(name, true);
    if (wire === undefined) throw new Error("no one answers");
    return wire;
  };
}

/** Anchors from a file with these certificates. */
export async function anchorsOf(...trusted: readonly Authority[]): Promise<TrustAnchors> {
  await using folder = await makeTemporaryFolder();
  const files = trusted.map((_, i) => join(folder.path, `anchor-${i}`));
  await Promise.all(trusted.map(({ wire }, i) => writeFile(files[i]!, wire.toString("base64"))));
  return TrustAnchors.load(files);
}

/** A verifier for `prefix` that trusts these, at `nowMs`. */
export async function verifierFor(
  trusted: readonly Authority[],
  network: CertificateNetwork,
  now: () => number = () => nowMs,
): Promise<Verifier> {
  return createVerifier({ anchors: await anchorsOf(...trusted), prefix, fetchCertificate: network.fetch, now });
}

/** A signal that never fires before the test is over. */
export const inTime = (): AbortSignal => AbortSignal.timeout(5_000);

/** The rule that a packet breaks; undefined when it is trusted. */
export async function ruleBrokenBy(verifier: Verifier, packet: Uint8Array): Promise<string | undefined> {
  try {
    await verifier.verify(packet, inTime());
    return undefined;
  } catch (err: unknown) {
    if (err instanceof Untrusted) return err.rule;
    throw err;
  }
}
