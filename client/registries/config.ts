/**
 * The file of `--config`: which registries one endpoint serves, and how.
 */
import { readFileSync, statSync } from "node:fs";
import { type Document, LineCounter, parseDocument, visit } from "yaml";
import {
  type ClientConfig,
  type LoginConfig,
  policyOf,
  type RegistryConfig,
  type RegistryPolicy,
} from "./client-config.ts";
import { Findings } from "./config-findings.ts";
import { configError, describeMistakes, type Mistake, mistakesOf, placeOf } from "./config-mistakes.ts";
import { type ConfigText, configSchema, type RegistryText } from "./config-schema.ts";

export { ConfigError } from "./config-mistakes.ts";

/** What a file is read with. */
export interface ConfigContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What options say for registries that say nothing themselves. */
  readonly defaults?: Partial<RegistryPolicy> | undefined;
}

const maxFileBytes = 1 << 20;
const dockerHubUpstream = "https://registry-1.docker.io";

/** Read and check a configuration; files that it names are relative to it. @throws ConfigError with every mistake. */
export function readClientConfig(file: string, context: ConfigContext): ClientConfig {
  const text = readText(file);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: "error" });
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0)
    throw configError(faults.map(({ pos, message }) => `${placeOf(file, lines, pos[0])}: ${message}`));
  const fail = (mistakes: readonly Mistake[]) => configError(describeMistakes(file, document, lines, mistakes));

  const lost = lostAlias(document);
  if (lost !== undefined) throw configError([`${placeOf(file, lines, lost)}: this alias stands for nothing before it`]);
  const parsed = configSchema.safeParse(valuesOf(document, file) ?? {}, { reportInput: true });
  if (!parsed.success) throw fail(mistakesOf(parsed.error));
  const found = new Findings(file);
  const config = configOf(parsed.data, context, found);
  if (found.mistakes.length > 0) throw fail(found.mistakes);
  return { ...config, warnings: found.warnings };
}

/** Where an alias is that no anchor belongs to. */
function lostAlias(document: Document): number | undefined {
  let offset: number | undefined;
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document) !== undefined) return undefined;
      offset = alias.range?.[0] ?? 0;
      return visit.BREAK;
    },
  });
  return offset;
}

function valuesOf(document: Document, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (err: unknown) {
    throw configError([`${file}: ${(err as Error).message}`]); // aliases that multiply
  }
}

function configOf(text: ConfigText, context: ConfigContext, found: Findings): Omit<ClientConfig, "warnings"> {
  const keys = Object.keys(text.registries);
  const standard = text.default ?? keys[0]!;
  if (!keys.includes(standard)) found.mistake(["default"], `this is none of the registries ${keys.join(", ")}`);
  const registries = Object.entries(text.registries).map(
    ([key, registry]) => [key, registryOf(key, registry, key === standard, context, found)] as const,
  );
  found.checkConfigFile(registries.some(([, { credentials }]) => credentials !== undefined));
  return { default: standard, registries: new Map(registries) };
}

function registryOf(
  registry: string,
  text: RegistryText,
  isDefault: boolean,
  { env, defaults = {} }: ConfigContext,
  found: Findings,
): RegistryConfig {
  const path = ["registries", registry];
  const url = text.upstream ?? new URL(registry === "docker.io" ? dockerHubUpstream : `https://${registry}`);
  const upstream = url === "none" ? undefined : url;
  const anchors = (text.anchors ?? []).map((anchor, at) => anchorOf([...path, "anchors", at], anchor, found));
  const credentials = loginOf([...path, "credentials"], text.credentials, env, found);
  const tls = tlsOf(path, text, found);
  const { maxAge, staleTags: staleTagsMs } = text;
  const own = {
    ...text,
    maxAgeMs: maxAge && maxAge * 1000,
    staleTagsMs,
    ...(!upstream && { authorize: "none" as const }),
  };
  const policy = policyOf(own, defaults, isDefault);
  if (upstream && policy.manifests === "ndn" && policy.authorize !== "none")
    found.mistake([...path, "manifests"], "ndn needs authorize: none, as servers on NDN do not know who pulls");
  return { registry, upstream, name: text.name, anchors, credentials, tls, ...policy };
}

function tlsOf(path: readonly PropertyKey[], text: RegistryText, found: Findings): RegistryConfig["tls"] {
  const fileOf = (key: "ca" | "cert" | "key") => text[key] && found.readable([...path, key], text[key]);
  const [ca, cert, key] = [fileOf("ca"), fileOf("cert"), fileOf("key")];
  if (key !== undefined) found.warnIf(key, 0o004, "is a key and can be read by everyone on this machine: chmod o-r");
  return ca === undefined && cert === undefined ? undefined : { ca, cert, key };
}

function anchorOf(path: readonly PropertyKey[], anchor: string, found: Findings): string {
  if (!/^sha256:/i.test(anchor)) return found.readable(path, anchor);
  if (!/^sha256:[0-9a-f]{64}$/i.test(anchor)) found.mistake(path, "sha256: is followed by 64 hexadecimal digits");
  return anchor.toLowerCase();
}

function loginOf(
  path: readonly PropertyKey[],
  text: RegistryText["credentials"],
  env: ConfigContext["env"],
  found: Findings,
): LoginConfig | undefined {
  if (text === undefined) return undefined;
  if (text === "docker-config") return { kind: "docker-config" };
  const { username, passwordFile, passwordEnv } = text;
  if (passwordFile === undefined) {
    const variable = passwordEnv!;
    if (!env[variable]) found.mistake([...path, "passwordEnv"], "the environment has no such variable");
    return { kind: "password-variable", username, variable };
  }
  const file = found.readable([...path, "passwordFile"], passwordFile);
  found.warnIf(file, 0o004, "holds a password and can be read by everyone on this machine: chmod o-r");
  return { kind: "password-file", username, file };
}

function readText(file: string): string {
  try {
    const { size } = statSync(file);
    if (size > maxFileBytes) throw new Error(`it is longer than ${maxFileBytes} bytes`);
    return readFileSync(file, "utf8");
  } catch (err: unknown) {
    throw configError([`${file}: cannot be read: ${(err as Error).message}`]);
  }
}
