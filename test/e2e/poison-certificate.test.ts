/** A forged certificate in the forwarder's store does not keep a client off NDN that has only the anchor's digest. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Data, Name } from "@ndn/packet";
import { beforeAll, expect, test } from "vitest";
import { parseCertificates } from "#ndn/trust/certificate-file.ts";
import { insert } from "#test/support/link/forged-segments.ts";
import { pushBlob } from "#test/support/oci-push.ts";
import { randomBytesOf } from "#test/support/random-bytes.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { blobBytes, startClient } from "#test/support/running-program.ts";
import { fetchBlob } from "#test/support/slow-reader.ts";
import { useStage } from "#test/support/stage.ts";
import { overNdnOnly, prefix, startWholePath, type WholePath, wholePathPrograms } from "#test/support/whole-path.ts";

const repository = "team/app/poison";
const sizeBytes = 1_000_000;

describeWith(wholePathPrograms, "with an anchor by its digest", () => {
  const stage = useStage();
  let path: WholePath;
  let exported: string;

  beforeAll(async () => {
    exported = join(stage.folder, "exported.ndncert");
    path = await startWholePath(stage, { server: ["--export-anchor", exported] });
  }, 60_000);

  test("a forged certificate in the forwarder's store costs no byte over HTTPS", { timeout: 60_000 }, async () => {
    const [certificate] = parseCertificates(await readFile(exported));
    const forged = new Data(new Name(certificate!.name), Data.ContentType(2), Data.FreshnessPeriod(86_400_000));
    forged.content = randomBytesOf("no key", 91);
    await insert(path.socket, [forged]);

    const uplink = ["--name", prefix, "--uplink", `unix://${path.socket}`, "--upstream", path.registry.url];
    const args = [...uplink, "--anchor", certificate!.digest, "--cache-size", "0", ...overNdnOnly];
    const client = stage.own(await startClient({ folder: await stage.newFolder("anchored"), args }));
    const { digest } = await pushBlob(path.registry.url, repository, randomBytesOf("certificate", sizeBytes));
    expect(await fetchBlob(client.url, repository, digest)).toEqual({ digest, sizeBytes, isComplete: true });
    expect(await blobBytes(client)).toMatchObject({ ndn: sizeBytes, upstream: 0 });
  });
});
