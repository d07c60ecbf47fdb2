/**
 * What may stand in the file of `--config`, value by value. Messages never quote a value that may hold a secret.
 */
import { z } from "zod";
import { checkPrefixLength } from "#blob/names.ts";
import { parseName } from "#ndn/packet/name.ts";
import { canonicalRegistry, namesApi } from "#oci/reference.ts";
import { authorizeChoices, manifestChoices, offlinePolicies } from "./client-config.ts";
import { parseStaleTime } from "./stale-time.ts";

const passwordLogin = z
  .strictObject({
    username: z.string().min(1, "a name is needed"),
    passwordFile: z.string().min(1, "a path is needed").optional(),
    passwordEnv: z
      .string()
      .regex(/^[A-Za-z_]\w*$/, "the name of a variable is needed, not the password itself")
      .optional(),
  })
  .refine((login) => (login.passwordFile === undefined) !== (login.passwordEnv === undefined), {
    message: "give either passwordFile or passwordEnv",
  });

const upstream = z.string().transform((text, context) => {
  if (text === "none") return text;
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.search || url.hash) {
    return refuse(context, "this is not an http or https URL (example: https://registry.example)");
  }
  if (url.username || url.password) return refuse(context, "a login does not belong into the URL: use credentials");
  if (namesApi(url)) return refuse(context, "/v2/ is added to each request: leave it out");
  return url;
});

const staleTags = z.string().transform((text, context) => {
  try {
    return parseStaleTime(text);
  } catch (err: unknown) {
    return refuse(context, (err as Error).message);
  }
});
const seconds = z.number("a number of seconds is needed").positive("this is not above 0").max(3600, "at most 3600");

const name = z.string().transform((text, context) => {
  try {
    const prefix = parseName(text);
    checkPrefixLength(prefix);
    return prefix;
  } catch (err: unknown) {
    return refuse(context, (err as Error).message);
  }
});

const pemFile = z.string().min(1, "a PEM file is needed");
const anchor = z.string().min(1, "a file or sha256:HEX is needed");
const wordsOf = (...words: [string, ...string[]]) => `this is not one of ${words.join(", ")}`;
const trueOrFalse = z.boolean("this is not true or false");

const registry = z
  .strictObject({
    upstream: upstream.optional(),
    name: name.optional(),
    anchors: z.array(anchor, "a list is needed: files, or sha256:HEX").optional(),
    credentials: z
      .union([z.literal("docker-config"), passwordLogin], "docker-config, or username and passwordFile, is needed")
      .optional(),
    authorize: z.enum(authorizeChoices, wordsOf(...authorizeChoices)).optional(),
    offline: z.enum(offlinePolicies, wordsOf(...offlinePolicies)).optional(),
    prefetch: trueOrFalse.optional(),
    manifests: z.enum(manifestChoices, wordsOf(...manifestChoices)).optional(),
    maxAge: seconds.optional(),
    staleTags: staleTags.optional(),
    forwardAuthorization: trueOrFalse.optional(),
    ca: pemFile.optional(),
    cert: pemFile.optional(),
    key: pemFile.optional(),
  })
  .refine(({ cert, key }) => (cert === undefined) === (key === undefined), {
    message: "cert and key go together",
    path: ["cert"],
  })
  .refine(({ upstream, name, anchors }) => upstream !== "none" || (name !== undefined && anchors?.length), {
    message: "without an upstream there must be a name, and anchors: else nothing on NDN is believed",
    path: ["upstream"],
  })
  .refine(({ manifests, anchors }) => manifests !== "ndn" || anchors?.length, {
    message: "ndn needs anchors: without them nothing on NDN is believed",
    path: ["manifests"],
  })
  .refine(({ anchors, name }) => !anchors?.length || name !== undefined, {
    message: "anchors are of use only with a name",
    path: ["anchors"],
  });

const keyGrammar = /^(?=[^:]*\.|localhost(?::|$)|[^:]+:)[a-z0-9]+(?:[.-]+[a-z0-9]+)*(?::\d{1,5})?$/;

// A word without dot or port would take a path such as /v2/library/… for its own.
const key = z.string().superRefine((text, context) => {
  if (!keyGrammar.test(text))
    refuse(context, "the name of a registry is a host in lower case, such as ghcr.io or localhost:5001");
  else if (canonicalRegistry(text) !== text)
    refuse(context, `this registry is written ${canonicalRegistry(text)} here`);
});

/** The whole file. */
export const configSchema = z.strictObject({
  default: z.string().optional(),
  registries: z
    .record(
      key,
      z.preprocess((value) => value ?? {}, registry),
      "a map of registries is needed",
    )
    .refine((registries) => Object.keys(registries).length > 0, "at least one registry is needed"),
});

/** What the file says, checked value by value. */
export type ConfigText = z.infer<typeof configSchema>;
/** What it says of one registry. */
export type RegistryText = ConfigText["registries"][string];

/** The keys that may stand where these keys led; for hints. */
export function knownKeys(path: readonly PropertyKey[]): readonly string[] {
  if (path.length === 0) return Object.keys(configSchema.shape);
  if (path.length === 2) return Object.keys(registry.shape);
  return Object.keys(passwordLogin.shape);
}

function refuse(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: "custom", message });
  return z.NEVER;
}
