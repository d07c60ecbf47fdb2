import { expect, test } from "vitest";
import { proxiesOf } from "#oci/proxies.ts";

const proxy = "http://proxy.example:3128";

/** Whether `url` is asked through the proxy for all, with these exceptions. */
function isProxied(url: string, noProxy: string): boolean {
  return proxiesOf({ httpProxy: proxy, httpsProxy: proxy, noProxy })(new URL(url)) !== undefined;
}

test("each scheme has a proxy of its own, and none without one", () => {
  const proxyFor = proxiesOf({ httpProxy: "http://plain.example", httpsProxy: "https://secure.example:8443" });
  expect(proxyFor(new URL("http://a.example"))?.href).toBe("http://plain.example/");
  expect(proxyFor(new URL("https://a.example"))?.href).toBe("https://secure.example:8443/");
  const https = proxiesOf({ httpsProxy: proxy });
  expect([https(new URL("http://a.example")), https(new URL("https://a.example"))?.href]).toEqual([
    undefined,
    `${proxy}/`,
  ]);
  expect(proxiesOf({})(new URL("https://a.example"))).toBeUndefined();
});

test.each([
  ["proxy.example:3128", "http://proxy.example:3128/"],
  ["10.0.0.1:3128", "http://10.0.0.1:3128/"],
  ["user:p%40ss@proxy.example", "http://user:p%40ss@proxy.example/"],
  ["socks5h://proxy.example:1080", "socks5://proxy.example:1080"],
  ["", undefined],
])("a proxy may be written %j", (text, href) => {
  expect(proxiesOf({ httpProxy: text })(new URL("http://a.example"))?.href).toBe(href);
});

test.each(["ftp://user:secret@proxy.example", "http://", "user:secret@"])("%s is no proxy, and not quoted", (text) => {
  const failure = () => proxiesOf({ httpsProxy: text });
  expect(failure).toThrow("HTTPS_PROXY is not the URL");
  expect(failure).not.toThrow("secret");
});

test.each(["http://localhost:5000", "https://127.0.0.1", "http://127.9.9.9:80", "http://[::1]:5000"])(
  "the loopback is asked directly: %s",
  (url) => expect(isProxied(url, "")).toBe(false),
);

// The cases of golang.org/x/net/http/httpproxy, and more of their kinds.
test.each([
  ["http://example.com/", "example.com", false],
  ["http://EXAMPLE.com/", "Example.COM", false],
  ["http://sub.example.com/", "example.com", false],
  ["http://badexample.com/", "example.com", true],
  ["http://example.com.evil/", "example.com", true],
  ["http://example.com/", ".example.com", true],
  ["http://sub.example.com/", ".example.com", false],
  ["http://example.com/", "*.example.com", true],
  ["http://a.b.example.com/", "*.example.com", false],
  ["http://example.com/", "a.example, example.com , b.example", false],
  ["http://example.com:8080/", "example.com:8080", false],
  ["http://example.com:8081/", "example.com:8080", true],
  ["https://example.com/", "example.com:443", false],
  ["http://example.com/", "example.com:443", true],
  ["http://example.com/", "*", false],
  ["http://example.com/", "other.example,*", false],
  ["http://example.com/", "", true],
  ["http://example.com/", ",, ,", true],
  ["http://example.com/", ":80", true],
  ["http://10.1.2.3/", "10.0.0.0/8", false],
  ["http://11.1.2.3/", "10.0.0.0/8", true],
  ["http://10.1.2.3:5000/", "10.1.2.3", false],
  ["http://10.1.2.3:5000/", "10.1.2.3:5000", false],
  ["http://10.1.2.3:5001/", "10.1.2.3:5000", true],
  ["http://10.1.2.30/", "10.1.2.3", true],
  ["http://10.1.2.3/", "10.0.0.0/99", true],
  ["http://[2001:db8::7]/", "2001:db8::/32", false],
  ["http://[2001:db8::7]/", "2001:db8::7", false],
  ["http://[2001:db8::7]:5000/", "[2001:db8::7]:5000", false],
  ["http://[2001:db8::7]:5001/", "[2001:db8::7]:5000", true],
  ["http://xn--mnchen-3ya.example/", "münchen.example", false],
  ["http://registry:5000/", "registry", false],
  ["http://sub.localhost/", "", true],
])("%s, with NO_PROXY %j, is asked through the proxy: %s", (url, noProxy, expected) => {
  expect(isProxied(url, noProxy)).toBe(expected);
});
