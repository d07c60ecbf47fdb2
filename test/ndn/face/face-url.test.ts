import { expect, test } from "vitest";
import { parseFaceUrl } from "#ndn/face/face-url.ts";

test.each([
  ["unix:///run/nfd/nfd.sock", { scheme: "unix", path: "/run/nfd/nfd.sock", isLocal: true }],
  ["tcp://router.example", { scheme: "tcp", host: "router.example", port: 6363, isLocal: false }],
  ["tcp://127.0.0.1:1", { scheme: "tcp", host: "127.0.0.1", port: 1, isLocal: true }],
  ["tcp4://localhost:16363", { scheme: "tcp", host: "localhost", port: 16363, isLocal: true }],
  ["udp://[::1]:6363", { scheme: "udp", host: "::1", port: 6363, isLocal: true }],
  ["udp://127.example:6363/", { scheme: "udp", host: "127.example", port: 6363, isLocal: false }],
])("%s is a face URL", (text, url) => {
  expect(parseFaceUrl(text)).toEqual({ ...url, text });
});

test.each([
  "",
  "nfd",
  "unix://",
  "unix:relative",
  "unix://run/nfd.sock",
  "http://host",
  "tcp://",
  "tcp://host:99999",
  "tcp://a b",
  "tcp://u@h:x",
])("%j is none, and the error shows the forms", (text) => {
  expect(() => parseFaceUrl(text)).toThrow(/unix:\/\/\/run\/nfd\/nfd.sock, tcp:/);
});
