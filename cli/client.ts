/**
 * `ndn-registry client`: the puller's half.
 */
import { openClient } from "#client/client.ts";
import { openParts } from "#client/parts.ts";
import { type ClientConfig, type RegistryConfig, singleRegistry } from "#client/registries/client-config.ts";
import { parseFaceUrl } from "#ndn/face/face-url.ts";
import { uplinkTo } from "#ndn/face/fch-uplink.ts";
import { UplinkBlobs } from "#uplinks/uplink-blobs.ts";
import { clientOptions } from "./client-options.ts";
import { endpointError, endpointOptions } from "./endpoint.ts";
import { createLogger } from "./logger.ts";
import { networkOf } from "./network/network.ts";
import { OptionError, type Values, variableOf } from "./option.ts";
import { Hangups } from "./process/hangups.ts";
import { graceMs, runUntilSignal } from "./process/lifetime.ts";
import { programMetrics } from "./program-metrics.ts";
import { defaultUplink } from "./shared-options.ts";

type ClientValues = Values<typeof clientOptions>;

/** Run until a signal; resolves when everything is closed. @throws StartError, OptionError */
export async function runClient(values: ClientValues): Promise<void> {
  const hangups = new Hangups();
  const log = createLogger(values);
  const config = await configOf(values);
  const urls = values.uplink.length > 0 ? values.uplink : [parseFaceUrl(defaultUplink)];
  const uplinks = urls.map((url) => uplinkTo(url, values.mtu));
  const ndn = new UplinkBlobs(uplinks, consumerOptions(values), log);
  const readNetwork = () => networkOf(process.env, "upstream-ca", values.upstreamCa);
  const network = readNetwork();
  const readConfig = () => configOf(values);
  const metrics = programMetrics();
  const options = endpointOptions({ ...values, config, readConfig, readNetwork, network, ndn, metrics, log });
  const client = await openParts(options)
    .then(openClient)
    .catch((err: unknown) => {
      throw endpointError(err);
    });
  ndn.open();
  const close = async () => {
    await client.close(graceMs);
    ndn.close();
  };
  await runUntilSignal(log, { close, reload: () => client.reload() }, hangups);
}

/** What the options say of fetching over NDN. */
export function consumerOptions(values: Pick<ClientValues, "stallTimeout" | "maxWindow" | "maxCwnd">) {
  const stallTimeoutMs = values.stallTimeout === undefined ? undefined : values.stallTimeout * 1000;
  return { memoryBytes: values.maxWindow, maxWindow: values.maxCwnd, stallTimeoutMs };
}

/** The registries of `--config`, or the one of `--upstream` and `--name`. @throws OptionError */
async function configOf(values: ClientValues): Promise<ClientConfig> {
  const { config, name, upstream, anchor, authorize, offline, manifests, maxAge, staleTags } = values;
  const prefetch = values.prefetch === "on";
  const policy = { authorize, offline, prefetch, manifests, maxAgeMs: maxAge, staleTagsMs: staleTags };
  if (config === undefined) {
    const url = required(upstream, "upstream");
    const registry = { name: required(name, "name"), upstream: url === "none" ? undefined : url, anchors: anchor };
    const mistake = mistakeOf({ ...policy, ...registry });
    if (mistake) throw new OptionError(mistake);
    return singleRegistry({ ...registry, ...policy });
  }
  if (name !== undefined || upstream !== undefined || anchor.length > 0)
    throw new OptionError("--config: what --name, --upstream and --anchor say is said in the file, for each registry");
  const { ConfigError, readClientConfig } = await import("#client/registries/config.ts"); // and the YAML parser
  try {
    return readClientConfig(config, { env: process.env, defaults: policy });
  } catch (err: unknown) {
    if (err instanceof ConfigError) throw new OptionError(`--config: ${err.message}`, { cause: err });
    throw err;
  }
}

/** What does not go together. */
function mistakeOf({
  upstream,
  anchors,
  manifests,
  authorize,
}: Pick<RegistryConfig, "upstream" | "anchors" | "manifests" | "authorize">): string | undefined {
  if (!upstream && anchors.length === 0)
    return "--upstream none needs an --anchor: without one nothing on NDN is believed";
  if (!upstream || manifests !== "ndn") return undefined;
  if (anchors.length === 0) return "--manifests ndn needs an --anchor: without one nothing on NDN is believed";
  if (authorize !== "none") return "--manifests ndn needs --authorize none: servers on NDN do not know who pulls";
  return undefined;
}

function required<T>(value: T | undefined, key: "name" | "upstream"): T {
  if (value !== undefined) return value;
  const { flag, value: form, help } = clientOptions[key];
  throw new OptionError(`--${flag} ${form} is required (or ${variableOf(flag)}, or --config): ${help}`);
}
