import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { testEnvironment } from "#test/support/environment.ts";
import { programPath } from "#test/support/programs.ts";

/** A page in headless Chromium, and everything about it that ought not to happen. */
export interface WatchedPage extends AsyncDisposable {
  readonly page: Page;
  /** Errors and warnings on the console, exceptions, requests to other origins. */
  readonly complaints: string[];
}

/** Start the browser; the caller closes it. */
export async function startBrowser(): Promise<Browser> {
  // Chromium refuses its sandbox to root, and containers have little shared memory.
  const args = [...(process.getuid?.() === 0 ? ["--no-sandbox"] : []), "--disable-dev-shm-usage"];
  return chromium.launch({ executablePath: programPath("chromium"), args, env: { ...testEnvironment() } });
}

/** Open `url` in a window of its own. */
export async function openPage(browser: Browser, url: URL, options: BrowserContextOptions = {}): Promise<WatchedPage> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (err) => complaints.push(err.message));
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== url.origin) complaints.push(`asks ${request.url()}`);
  });
  await page.goto(url.href);
  return { page, complaints, [Symbol.asyncDispose]: () => context.close() };
}

/** What a function of `in-page.js` answers in the page. */
export async function inPage(page: Page, call: string): Promise<unknown> {
  const script = await readFile(join(import.meta.dirname, "in-page.js"), "utf8");
  return page.evaluate(`{ ${script} }; inPage.${call}`);
}
