/**
 * Which proxy a URL is asked through, by the rules of Go's programs (golang.org/x/net/http/httpproxy), so that an
 * environment that serves the pullers serves here as well.
 */
import { BlockList, isIP } from "node:net";
import { domainToASCII } from "node:url";

/** The proxy for a URL; undefined where it is asked directly. */
export type ProxyFor = (url: URL) => URL | undefined;

/** The texts of `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`. */
export interface ProxyTexts {
  readonly httpProxy?: string | undefined;
  readonly httpsProxy?: string | undefined;
  /** With commas: `*`, addresses, networks such as `10.0.0.0/8`, domains with all below them, `.domain` for only those below it; any but a network with `:PORT`. */
  readonly noProxy?: string | undefined;
}

/** The loopback is never asked through a proxy. @throws Error when a proxy's URL is none; it does not quote a login. */
export function proxiesOf({ httpProxy, httpsProxy, noProxy = "" }: ProxyTexts): ProxyFor {
  const proxies = new Map([
    ["http:", parseProxy("HTTP_PROXY", httpProxy)],
    ["https:", parseProxy("HTTPS_PROXY", httpsProxy)],
  ]);
  const exceptions = noProxy
    .toLowerCase()
    .split(",")
    .flatMap((entry) => parseException(entry.trim()) ?? []);
  return (url) => {
    const proxy = proxies.get(url.protocol);
    if (proxy === undefined) return undefined;
    const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
    const port = url.port || (url.protocol === "https:" ? "443" : "80");
    return isLoopback(host) || exceptions.some((isMeant) => isMeant(host, port)) ? undefined : proxy;
  };
}

/** A text without a scheme is one of `http:`, as curl and Go have it. */
function parseProxy(name: string, text = ""): URL | undefined {
  if (text === "") return undefined;
  const url = URL.parse(/^[a-z0-9]+:\/\//i.test(text) ? text : `http://${text}`);
  // Whether names are resolved here or at the proxy is one thing to undici, which leaves them to the proxy.
  if (url && /^socks5h?:$/.test(url.protocol)) return new URL(url.href.replace(/^socks5h/, "socks5"));
  if (url?.hostname && /^https?:$/.test(url.protocol)) return url;
  throw new Error(`${name} is not the URL of an http, https or socks5 proxy (example: http://proxy.example:3128)`);
}

/** Whether an exception is meant for a host, in lower case and without brackets, and a port. */
type Exception = (host: string, port: string) => boolean;

function parseException(entry: string): Exception | undefined {
  if (entry === "*") return () => true;
  const [, network = "", bits] = /^([^/]+)\/(\d{1,3})$/.exec(entry) ?? [];
  if (isIP(network) !== 0) return within(network, Number(bits));
  const [, host = entry, port] = /^\[(.+)\](?::(\d+))?$/.exec(entry) ?? /^([^:]*)(?::(\d+))?$/.exec(entry) ?? [];
  if (host === "") return undefined;
  const isMeant = isIP(host) === 0 ? below(host) : within(host, isIP(host) === 4 ? 32 : 128)!;
  return (asked, askedPort) => (port === undefined || port === askedPort) && isMeant(asked, askedPort);
}

/** `domain` is meant with all below it, `.domain` and `*.domain` only those below it. */
function below(entry: string): Exception {
  const pattern = entry.replace(/^\*(?=\.)/, "");
  const domain = domainToASCII(pattern.replace(/^\./, ""));
  return (host) => host.endsWith(`.${domain}`) || (host === domain && !pattern.startsWith("."));
}

/** Addresses of a network; no names, which are not resolved for this. */
function within(network: string, bits: number): Exception | undefined {
  const version = (address: string) => (isIP(address) === 4 ? "ipv4" : "ipv6");
  const list = new BlockList();
  try {
    list.addSubnet(network, bits, version(network));
  } catch {
    return undefined; // more bits than there are
  }
  return (host) => isIP(host) !== 0 && list.check(host, version(host));
}

const loopback = [within("127.0.0.0", 8)!, within("::1", 128)!];

function isLoopback(host: string): boolean {
  return host === "localhost" || loopback.some((isMeant) => isMeant(host, ""));
}
