/** Consumers that know nothing of this project fetch blobs from its server through a real forwarder. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Certificate, createVerifier, ECDSA } from "@ndn/keychain";
import { Data } from "@ndn/packet";
import { retrieveMetadata } from "@ndn/rdr";
import { fetch as fetchSegmented } from "@ndn/segmented-object";
import { Decoder } from "@ndn/tlv";
import { beforeAll, describe, expect, test } from "vitest";
import { connectNdnts, hintOf, type NdntsConsumer, plainName, segmentedName } from "#test/support/ndn-consumer.ts";
import { pushBlob } from "#test/support/oci-push.ts";
import { programPath } from "#test/support/programs.ts";
import { digestOf, randomBytesOf } from "#test/support/random-bytes.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { run } from "#test/support/run.ts";
import { useStage } from "#test/support/stage.ts";
import { prefix, startWholePath, type WholePath, wholePathPrograms } from "#test/support/whole-path.ts";

const repository = "team/app/interop";
const sizes = [0, 1, 8192, 8193, 100 * 1024 * 1024];
const patience = { timeout: 60_000 };

describeWith(wholePathPrograms, "interoperation", () => {
  const stage = useStage();
  let path: WholePath;
  let ndnts: NdntsConsumer;

  beforeAll(async () => {
    path = await startWholePath(stage);
    ndnts = stage.own(await connectNdnts(path.socket));
    for (const size of sizes) await pushBlob(path.registry.url, repository, blobOf(size));
  }, 60_000);

  describe.each(sizes)("a blob of %i bytes", (size) => {
    const digest = digestOf(blobOf(size));

    test("ndnd cat fetches it by its metadata", patience, async () => {
      const file = join(stage.folder, `cat-${size}`);
      const name = plainName(prefix, repository, digest).toString();
      const env = { NDN_CLIENT_TRANSPORT: `unix://${path.socket}` };
      await run("sh", ["-c", 'exec "$0" cat "$1" > "$2"', programPath("ndnd"), name, file], { env });
      expect(digestOf(await readFile(file))).toBe(digest);
    });

    test("NDNts fetches the segments that are named by digest and size", patience, async () => {
      const options = { fw: ndnts.fw, modifyInterest: hintOf(prefix, repository) };
      expect(digestOf(await fetchSegmented(segmentedName(prefix, digest), options))).toBe(digest);
    });

    test("NDNts fetches the plain form", patience, async () => {
      const name = plainName(prefix, repository, digest);
      expect(digestOf(await fetchSegmented(name, { fw: ndnts.fw }))).toBe(digest);
    });
  });

  test("NDNts finds the metadata and verifies it with the server's certificate", async () => {
    const digest = digestOf(blobOf(8193));
    const verifier = await createVerifier(await serverCertificate(stage.folder), { algoList: [ECDSA] });
    const seen: Data[] = [];
    const spy = { verify: async (data: Data) => verifier.verify(data).then(() => void seen.push(data)) };
    const { name } = await retrieveMetadata(plainName(prefix, repository, digest), {
      fw: ndnts.fw,
      verifier: spy as typeof verifier,
    });
    expect(name.equals(segmentedName(prefix, digest))).toBe(true);
    expect(seen[0]?.sigInfo.time).toBeGreaterThan(0);
  });
});

function blobOf(size: number): Buffer {
  return randomBytesOf(`interop ${size}`, size);
}

async function serverCertificate(folder: string): Promise<Certificate> {
  const base64 = await readFile(join(folder, "server/keychain/certificate.ndncert"), "utf8");
  return Certificate.fromData(new Decoder(Buffer.from(base64, "base64")).decode(Data));
}
