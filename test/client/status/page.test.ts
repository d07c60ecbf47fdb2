import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "#test/support/require-programs.ts";
import { makeTemporaryFolder } from "#test/support/tmp.ts";
import { inPage, openPage, startBrowser } from "./browser.ts";
import { equip, keepBusy } from "./busy.ts";
import { askManifest, beginBlob, digestOf, puller, startStatus } from "./stage.ts";

const phone = { width: 360, height: 740 };

describeWith(["chromium"], "the status page in a browser", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(() => browser.close());

  test("an idle gateway shows what to try, without complaints and without other origins", async () => {
    await using stage = await startStatus();
    await using window = await openPage(browser, stage.url);
    const { page, complaints } = window;
    await page.getByText(`docker pull ${stage.url.host}/library/alpine`).waitFor();
    await page.getByText("No pulls yet").waitFor();
    await page.getByText("No NDN uplink").waitFor();
    expect(await page.getByRole("alert").isVisible()).toBe(false);
    expect(await page.locator("#pulls-table").isVisible()).toBe(false);
    expect(complaints).toEqual([]);
  });

  test("a pull shows its progress while it runs, and then its bytes in the list", async () => {
    await using stage = await startStatus();
    await using window = await openPage(browser, stage.url);
    const { page, complaints } = window;
    askManifest(stage.pulls, { ...puller, reference: "3.22", status: 200 });
    const blob = beginBlob(stage.pulls, { ...puller, digest: digestOf("a") });
    blob.sized(4 << 20);
    blob.wrote("ndn", 1 << 20);
    const bar = page.getByRole("progressbar", { name: "library/alpine" });
    await bar.waitFor();
    expect(await bar.getAttribute("aria-valuenow")).toBe("25");
    expect(await bar.locator(".ndn").count()).toBe(1);
    blob.wrote("upstream", 3 << 20);
    await page.getByText("NDN + Upstream").waitFor();
    blob.ended("complete");
    await bar.waitFor({ state: "detached" });
    const row = page.getByRole("row", { name: "library/alpine:3.22" });
    await row.getByText("NDN 1.0 MiB · Upstream 3.0 MiB").waitFor();
    await row.getByText("complete").waitFor();
    await page
      .locator("#announcer", { hasText: "Pull of library/alpine complete, 4.0 MiB" })
      .waitFor({ state: "attached" });
    expect(complaints).toEqual([]);
  });

  test("names that look like markup are shown as text", async () => {
    await using stage = await startStatus();
    const evil = '<img src=x onerror="document.title=1">';
    stage.registries = [{ name: evil, upstream: new URL("http://registry.example/") }];
    stage.uplinks = [
      {
        describe: evil,
        up: true,
        isResting: false,
        rttMs: 1,
        window: 1,
        interests: 1,
        retransmissions: 0,
        nacks: 0,
        reads: 0,
        waiting: 0,
      },
    ];
    const names = { client: evil, registry: evil, repository: evil };
    askManifest(stage.pulls, { ...names, reference: evil, status: 200 });
    const blob = beginBlob(stage.pulls, { ...names, digest: evil });
    await using window = await openPage(browser, stage.url);
    const { page, complaints } = window;
    await page.locator("#live b").getByText(evil, { exact: true }).waitFor();
    expect(await page.locator("#pulls td:nth-child(2)").textContent()).toBe(`${evil}:${evil}`);
    expect(await page.locator("main img").count()).toBe(0);
    expect(await page.title()).toBe("ndn-registry");
    expect(complaints).toEqual([]);
    blob.ended("cancelled");
  });

  test("an endpoint that stops is announced, and so is its return", async () => {
    await using stage = await startStatus();
    await using window = await openPage(browser, stage.url);
    const { page } = window;
    const banner = page.getByRole("alert");
    await page.getByText("live", { exact: true }).waitFor();
    expect(await banner.isVisible()).toBe(false);
    await stage.stop();
    await banner.getByText("The client does not answer (no connection)").waitFor();
    expect(await inPage(page, "faintTexts()")).toEqual([]);
    await stage.restart();
    await page.getByText("live", { exact: true }).waitFor();
    expect(await banner.isVisible()).toBe(false);
  });

  test("a page that no one sees does not ask", async () => {
    await using stage = await startStatus();
    await using window = await openPage(browser, stage.url);
    const { page } = window;
    await page.getByText("live", { exact: true }).waitFor();
    await page.clock.install();
    await inPage(page, "hide(true)");
    let asked = 0;
    page.on("request", () => {
      asked++;
    });
    await page.clock.runFor(10_000);
    expect(asked).toBe(0);
    await Promise.all([page.waitForRequest("**/-/status.json"), inPage(page, "hide(false)")]);
  });

  test.each([
    { name: "light", size: { width: 1280, height: 900 }, colorScheme: "light" },
    { name: "dark", size: { width: 1280, height: 900 }, colorScheme: "dark" },
    { name: "tablet", size: { width: 800, height: 1000 }, colorScheme: "dark" },
    { name: "phone", size: phone, colorScheme: "light" },
  ] as const)("a busy gateway fits its window: $name", async ({ name, size, colorScheme }) => {
    await using stage = await startStatus();
    await using folder = await makeTemporaryFolder();
    equip(stage);
    const goOn = keepBusy(stage);
    await using window = await openPage(browser, stage.url, { viewport: size, colorScheme });
    const { page, complaints } = window;
    page.on("response", goOn);
    await page.getByText("jupyter/scipy-notebook").first().waitFor();
    await page.locator('#spark path[d*="L"]').waitFor({ state: "attached" });
    const path = join(process.env.SCREENSHOTS ?? folder.path, `${name}.png`);
    await page.screenshot({ path, fullPage: true });
    expect(await inPage(page, "widthPixels()")).toBeLessThanOrEqual(size.width);
    expect(complaints).toEqual([]);
    expect(await inPage(page, "faintTexts()")).toEqual([]);
  });
});
