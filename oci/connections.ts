/**
 * Connections to registries, and to where they lead: through which proxy they go, whom TLS trusts, and their bounds.
 */
import { createSecureContext, getCACertificates, type SecureContext } from "node:tls";
import { Agent, buildConnector, type Dispatcher, Pool, ProxyAgent } from "undici";
import type { ProxyFor } from "./proxies.ts";

/** What one registry has of its own; PEM. */
export interface RegistryTls {
  /** Authorities that are trusted besides those of the machine. */
  readonly ca?: readonly string[] | undefined;
  /** Certificate that is shown to the registry's host, and to no other; with its key. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/**
 * Connections to one host at a time. Each long upload or download holds one, and so does a puller that reads slowly;
 * requests beyond that wait for their turn.
 */
export const maxConnectionsPerOrigin = 256;

const connectTimeoutMs = 10_000;

const limits = {
  connectTimeout: connectTimeoutMs,
  connections: maxConnectionsPerOrigin,
  // Registries with long policies and many cookies go beyond Node's 16 KiB.
  maxHeaderSize: 256 * 1024,
} as const;

// One that vanished without a word is found also where it is waited for patiently.
const ofSockets = { timeout: connectTimeoutMs, keepAliveInitialDelay: 30_000 } as const;

/** How this machine reaches the outside: one for all registries. */
export class Network {
  readonly proxyFor: ProxyFor;
  readonly #authorities: (() => readonly string[]) | undefined;
  #shared: SecureContext | undefined;

  /**
   * @param options - `proxyFor`: without it everything is reached directly. `authorities`: PEM, called at the first TLS
   * connection; without it those that Node trusts.
   */
  constructor(options: { proxyFor?: ProxyFor | undefined; authorities?: (() => readonly string[]) | undefined } = {}) {
    this.proxyFor = options.proxyFor ?? (() => undefined);
    this.#authorities = options.authorities;
  }

  /** Whom to trust. One without anything of a registry's own is made once: it takes 0.1 s and some MB. @throws Error when cert and key do not fit */
  secureContext({ ca = [], cert, key }: RegistryTls = {}): SecureContext {
    if (ca.length === 0 && cert === undefined) {
      this.#shared ??= createSecureContext({ ca: this.#trusted([]) });
      return this.#shared;
    }
    return createSecureContext({ ca: this.#trusted(ca), cert, key });
  }

  #trusted(more: readonly string[]): string[] | undefined {
    const all = this.#authorities?.() ?? [];
    if (more.length === 0) return all.length > 0 ? [...all] : undefined;
    return [...(all.length > 0 ? all : getCACertificates()), ...more];
  }
}

/** Open connections, to be closed by the caller. */
export interface Connections {
  readonly dispatcher: Dispatcher;
  /** Ends them; what still runs breaks off. */
  close(): Promise<void>;
}

/** Connections for one registry at `base`. @throws Error when what it has of its own cannot be used. */
export function openConnections(base: URL, network: Network = new Network(), own?: RegistryTls): Connections {
  const [home, elsewhere] = contextsOf(network, own);
  const agents = new Map<string, Dispatcher>();
  const agentFor = (origin: string): Dispatcher => {
    const url = new URL(origin);
    const proxy = network.proxyFor(url);
    const isHome = url.hostname === base.hostname;
    const key = `${isHome} ${proxy?.href}`;
    const context = isHome ? home : elsewhere;
    const agent = agents.get(key) ?? (proxy ? proxyAgent(proxy, context, network) : directAgent(context));
    agents.set(key, agent);
    return agent;
  };
  const registry = agentFor(base.href);
  const dispatcher = registry.compose(() => (options, handler) => {
    const agent = options.origin === base.origin ? registry : agentFor(String(options.origin));
    return agent.dispatch(options, handler);
  });
  return { dispatcher, close: async () => void (await Promise.all([...agents.values()].map((one) => one.destroy()))) };
}

type LazyContext = () => SecureContext;

/** At the registry's own host, and anywhere else. */
function contextsOf(network: Network, own: RegistryTls | undefined): [LazyContext, LazyContext] {
  const machine = () => network.secureContext();
  if (own === undefined) return [machine, machine];
  const [home, elsewhere] = [network.secureContext(own), own.ca && network.secureContext({ ca: own.ca })];
  return [() => home, () => elsewhere ?? machine()];
}

function directAgent(context: LazyContext): Agent {
  const plain = buildConnector(ofSockets);
  let secure: buildConnector.connector | undefined;
  return new Agent({
    ...limits,
    connect: (options, callback) => {
      if (options.protocol !== "https:") return plain(options, callback);
      secure ??= buildConnector({ ...ofSockets, secureContext: context() });
      return secure(options, callback);
    },
  });
}

/** What is asked in the clear goes to the proxy as it is, all else through a tunnel. */
function proxyAgent(proxy: URL, context: LazyContext, network: Network): Dispatcher {
  const agent = new ProxyAgent({
    ...limits,
    uri: proxy.href,
    requestTls: { ...ofSockets, secureContext: context() },
    // A SOCKS proxy would be spoken to over TLS.
    ...(proxy.protocol !== "socks5:" && { proxyTls: { ...ofSockets, secureContext: network.secureContext() } }),
    factory: (origin, options: object) => new Pool(origin, { ...limits, ...options }),
    // Of a tunnel: it is a part of connecting.
    clientFactory: (origin, options) => new Pool(origin, { ...options, headersTimeout: connectTimeoutMs }),
  });
  return agent.compose(withoutRepeats);
}

/** A proxy's agent takes of headers in a list only the last one of a name. */
const withoutRepeats: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, handler) => {
  const { headers } = options;
  if (!Array.isArray(headers)) return dispatch(options, handler);
  const byName = new Map<string, string[]>();
  for (let at = 0; at < headers.length; at += 2) {
    const name = String(headers[at]).toLowerCase();
    byName.set(name, [...(byName.get(name) ?? []), String(headers[at + 1])]);
  }
  const entries = [...byName].map(([name, values]) => [name, values.length === 1 ? values[0] : values]);
  return dispatch({ ...options, headers: Object.fromEntries(entries) as Record<string, string | string[]> }, handler);
};
