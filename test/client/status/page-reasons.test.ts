import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { formatSize } from "#cli/sizes.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { inPage, openPage, startBrowser } from "./browser.ts";
import { equip, keepBusy } from "./busy.ts";
import { askManifest, beginBlob, digestOf, healthy, puller, startStatus } from "./stage.ts";

const phone = { viewport: { width: 360, height: 740 } };

describeWith(["chromium"], "what the status page says of itself", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(() => browser.close());

  test("what does not work is in a banner, and goes when it works again", async () => {
    await using stage = await startStatus();
    stage.health.missing = ["uplink unix:///run/nfd/nfd.sock is down: there is no such socket"];
    await using window = await openPage(browser, stage.url);
    const { page, complaints } = window;
    const banner = page.getByRole("alert");
    await banner.getByText("Pulls go on where they can").waitFor();
    expect(await banner.getByRole("listitem").allTextContents()).toEqual(stage.health.missing);
    expect(await inPage(page, "faintTexts()")).toEqual([]);
    stage.health.ready = false;
    await banner.getByText("Nothing can be pulled but what is cached").waitFor();
    expect(await inPage(page, "faintTexts()")).toEqual([]);
    stage.health.missing = [];
    await banner.waitFor({ state: "hidden" });
    expect(complaints).toEqual([]);
  });

  test("each registry says how its upstream and NDN are, and why", async () => {
    await using stage = await startStatus();
    const [name] = stage.registries.map((one) => one.name);
    await using window = await openPage(browser, stage.url);
    const card = window.page.locator("#registries");
    await card.getByText("NDN: nothing known yet").waitFor();
    stage.health.registries = [healthy(name!)];
    await card.getByText("Upstream answers").waitFor();
    await card.getByText("under /example/registry").waitFor();
    const down = { upstream: "down", upstreamTrouble: "cannot be reached: its host name is unknown" } as const;
    stage.health.registries = [healthy(name!, { ...down, ndn: "untrusted", ndnTrouble: "the anchor does not fit" })];
    await card.getByText("cannot be reached: its host name is unknown").waitFor();
    await card.getByText("NDN is not trusted").waitFor();
    await card.getByText("the anchor does not fit").waitFor();
    stage.health.registries = [healthy(name!, { ndn: "off", prefix: null })];
    await card.getByText("No NDN", { exact: true }).waitFor();
  });

  test("a pull says why it failed, and why bytes did not come over NDN", async () => {
    await using stage = await startStatus();
    const begin = (repository: string) => {
      askManifest(stage.pulls, { ...puller, repository, reference: "1", status: 200 });
      return beginBlob(stage.pulls, { ...puller, repository, digest: digestOf("a") });
    };
    const [partly, none] = [begin("some"), begin("none")];
    partly.wrote("ndn", 1 << 20);
    for (const blob of [partly, none]) blob.wrote("upstream", 1 << 20);
    for (const blob of [partly, none]) blob.says({ whyNotNdn: "no one answers on uplink x" });
    await using window = await openPage(browser, stage.url);
    const { page } = window;
    await page.locator("#live").getByText("Not over NDN: no one answers on uplink x", { exact: true }).waitFor();
    await page.locator("#live").getByText("Not all over NDN: no one answers on uplink x").waitFor();
    none.says({ reason: "the upstream cannot be reached: its host name is unknown" });
    none.ended("broken");
    partly.ended("complete");
    stage.clock.ms += 3_000;
    const row = page.getByRole("row", { name: "none:1" });
    await row.getByText("the upstream cannot be reached: its host name is unknown").waitFor();
    await row.getByText("Not over NDN: no one answers on uplink x", { exact: true }).waitFor();
    await page.getByRole("row", { name: "some:1" }).getByText("Not all over NDN").waitFor();
  });

  test("sizes have the units that options and the cache's list have", async () => {
    await using stage = await startStatus();
    await using window = await openPage(browser, stage.url);
    const sizes = [0, 1, 1023, 1024, 1500, 10 * 2 ** 20, 102_390, 1_048_063, 1_048_064, 10 * 2 ** 30, 7.31e9, 3e12];
    const call = `import("/-/format.js").then((f) => ${JSON.stringify(sizes)}.map(f.formatBytes))`;
    expect(await window.page.evaluate(call)).toEqual(sizes.map(formatSize));
  });

  test("the throughput of the last minutes is there after a reload, and what is left of a blob is estimated", async () => {
    await using stage = await startStatus();
    const blob = beginBlob(stage.pulls, { ...puller, digest: digestOf("a") });
    blob.sized(64 << 20);
    blob.wrote("ndn", 4 << 20);
    stage.clock.ms += 4_000;
    await using window = await openPage(browser, stage.url);
    const { page } = window;
    const spark = page.locator('#spark path[d*="L"]');
    await spark.waitFor({ state: "attached" });
    await page.reload();
    await spark.waitFor({ state: "attached" });
    await page.getByText("last 2 min, up to 4.0 MiB/s").waitFor();
    await page
      .locator("#live .rate")
      .getByText(/iB\/s, about .* left/)
      .waitFor();
    expect(await page.locator("#pulls tr").count()).toBe(1);
    blob.ended("cancelled");
  });

  test("on a phone the last pulls come first, a few of them until all are asked for", async () => {
    await using stage = await startStatus();
    equip(stage);
    keepBusy(stage);
    await using window = await openPage(browser, stage.url, phone);
    const { page } = window;
    await page.getByText("library/node").first().waitFor();
    const topOf = async (selector: string) => (await page.locator(selector).boundingBox())!.y;
    const tops = [await topOf("section.last"), await topOf("section.now"), await topOf(".overview")];
    expect(tops).toEqual(tops.toSorted((a, b) => a - b));
    const visible = () => page.locator("#pulls tr:visible").count();
    expect([await visible(), await page.locator("#pulls tr").count()]).toEqual([5, 7]);
    await page.getByRole("button", { name: "Show all" }).click();
    expect(await visible()).toBe(7);
    await page.getByRole("button", { name: "Show fewer" }).click();
    expect(await visible()).toBe(5);
  });

  test("where bytes come from is explained beside the figures", async () => {
    await using stage = await startStatus();
    await using window = await openPage(browser, stage.url);
    const items = window.page.locator("#origin-list li");
    await items.first().waitFor();
    expect(await items.allTextContents()).toEqual([
      "Store0 Bcached here by an earlier pull",
      "NDN0 Bthe server or caches between",
      "Upstream0 Bthe registry itself, over HTTP",
    ]);
  });
});
