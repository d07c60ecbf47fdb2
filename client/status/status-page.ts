/**
 * The status page at `/`, and what it asks for each second. No build step, nothing from elsewhere.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { FastifyInstance } from "fastify";
import { refusalOf, type StatusAccess } from "./access.ts";
import { type StatusSources, takeSnapshot } from "./snapshot.ts";

const [html, css, js, svg] = [
  "text/html; charset=utf-8",
  "text/css; charset=utf-8",
  "text/javascript; charset=utf-8",
  "image/svg+xml",
];

const files = [
  { path: "/", file: "index.html", type: html },
  { path: "/-/icon.svg", file: "icon.svg", type: svg },
  ...["style", "overview", "lists", "narrow"].map((name) => ({
    path: `/-/${name}.css`,
    file: `${name}.css`,
    type: css,
  })),
  ...["main", "dom", "format", "overview", "live", "uplinks", "pulls"].map((name) => {
    return { path: `/-/${name}.js`, file: `${name}.js`, type: js };
  }),
] as const;

const snapshotPath = "/-/status.json";

/** The paths that `addStatusPage` serves. */
export const statusPaths: ReadonlySet<string> = new Set([...files.map(({ path }) => path), snapshotPath]);

/** Whether a request's URL is one of them, for those who sort requests before the router does. */
export function isStatusPath(url: string): boolean {
  return statusPaths.has(url.split("?", 1)[0]!);
}

// Names of repositories are a stranger's text: even if one became markup, nothing could run or leave.
const headers = {
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; "),
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
} as const;

/** Add the page's routes to `app`, before it is ready. */
export async function addStatusPage(app: FastifyInstance, sources: StatusSources, access: StatusAccess): Promise<void> {
  const folder = join(import.meta.dirname, "page");
  const contents = await Promise.all(files.map(({ file }) => readFile(join(folder, file))));
  await app.register(async (page) => {
    page.addHook("onRequest", async ({ raw }, reply) => {
      reply.headers(headers);
      const refusal = await refusalOf(raw, access);
      if (!refusal) return;
      if (refusal.challenge !== undefined) reply.header("www-authenticate", refusal.challenge);
      return reply.status(refusal.status).type("text/plain; charset=utf-8").send(`${refusal.text}\n`);
    });
    for (const [i, { path, type }] of files.entries()) {
      page.get(path, async (_request, reply) => reply.type(type).send(contents[i]));
    }
    page.get(snapshotPath, async () => takeSnapshot(sources));
  });
}
