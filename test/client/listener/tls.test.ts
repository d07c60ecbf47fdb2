import { once } from "node:events";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import { type AddressInfo, connect as connectPlain } from "node:net";
import { join } from "node:path";
import { connect, type PeerCertificate, type SecureVersion } from "node:tls";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { answerBrokenRequest } from "#client/listener/broken-request.ts";
import { readTls, reloadTls, type TlsFiles } from "#client/listener/tls.ts";
import { ListenerFileError } from "#client/listener/watched-file.ts";
import { programPath } from "#test/support/programs.ts";
import { describeWith } from "#test/support/require-programs.ts";
import { run } from "#test/support/run.ts";
import { makeTemporaryFolder, type TemporaryFolder } from "#test/support/tmp.ts";
import { makeCertificate } from "./certificates.ts";

describeWith(["openssl"], "TLS", () => {
  const day = 24 * 3_600_000;
  let folder: TemporaryFolder;
  let first: TlsFiles;
  let second: TlsFiles;

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    [first, second] = [await makeCertificate(folder.path, "first"), await makeCertificate(folder.path, "second")];
  });

  afterAll(() => folder[Symbol.asyncDispose]());

  function written(name: string, text: string): string {
    const path = join(folder.path, name);
    writeFileSync(path, text);
    return path;
  }

  async function listening(files: TlsFiles): Promise<Server> {
    const server = createServer(readTls(files).options, (_request, response) => response.end("hello"));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return server;
  }

  async function certificateOf(server: Server, maxVersion: SecureVersion = "TLSv1.3"): Promise<PeerCertificate> {
    const { port } = server.address() as AddressInfo;
    const minVersion = maxVersion === "TLSv1.3" ? "TLSv1.2" : maxVersion;
    const ciphers = "DEFAULT@SECLEVEL=0"; // or this side would refuse old versions by itself
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, minVersion, maxVersion, ciphers });
    try {
      await once(socket, "secureConnect");
      return socket.getPeerCertificate();
    } finally {
      socket.destroy();
    }
  }

  test("a certificate and its key are served, from TLS 1.2 on", async () => {
    const server = await listening(first);
    try {
      expect((await certificateOf(server)).subject.CN).toBe("first");
      expect((await certificateOf(server, "TLSv1.2")).subject.CN).toBe("first");
      await expect(certificateOf(server, "TLSv1.1")).rejects.toThrow();
    } finally {
      server.close();
    }
  });

  test("who speaks plain HTTP, or rubbish, to a TLS port is cut off, and others are served", async () => {
    const server = await listening(first);
    server.on("clientError", answerBrokenRequest);
    try {
      const { port } = server.address() as AddressInfo;
      for (const text of ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01rubbish", "rubbish"]) {
        const socket = connectPlain({ port, host: "127.0.0.1" });
        socket.on("error", () => {});
        socket.end(text);
        socket.resume();
        await once(socket, "close");
      }
      expect((await certificateOf(server)).subject.CN).toBe("first");
    } finally {
      server.close();
    }
  });

  test("what is wrong is said with the file that it is wrong with", async () => {
    const { certFile, keyFile } = first;
    const message = (files: Partial<TlsFiles>) => {
      try {
        readTls({ ...first, ...files });
      } catch (err: unknown) {
        expect(err).toBeInstanceOf(ListenerFileError);
        return (err as Error).message.replaceAll(`${folder.path}/`, "");
      }
      return "nothing is wrong";
    };
    mkdirSync(join(folder.path, "directory"));
    const locked = join(folder.path, "locked.key");
    await run(programPath("openssl"), ["ec", "-in", keyFile, "-aes256", "-passout", "pass:secret", "-out", locked]);
    const cut = readFileSync(certFile, "utf8").slice(0, 200);

    expect(message({ certFile: join(folder.path, "none.crt") })).toBe(
      "TLS certificate none.crt: there is no such file",
    );
    expect(message({ keyFile: join(folder.path, "directory") })).toBe("TLS key directory: it is a directory");
    expect(message({ certFile: written("text.crt", "hello") })).toBe(
      "TLS certificate text.crt: it is not PEM (-----BEGIN CERTIFICATE-----)",
    );
    expect(message({ certFile: keyFile })).toBe("TLS certificate first.key: it holds a PRIVATE KEY");
    expect(message({ certFile: written("cut.crt", cut) })).toBe("TLS certificate cut.crt: its PEM is damaged");
    expect(message({ keyFile: certFile })).toMatch(/^TLS key first.crt: it is not a private key in PEM/);
    expect(message({ keyFile: locked })).toBe(
      "TLS key locked.key: it has a passphrase; store it without one, mode 0600",
    );
    expect(message({ keyFile: second.keyFile })).toBe(
      "TLS key second.key does not belong to the certificate first.crt",
    );
  });

  test("a certificate that has expired, is not yet valid, or soon expires is a warning", () => {
    const warning = (nowMs: number) => readTls(first, nowMs).warnings.join().replace(`${folder.path}/`, "");
    expect(warning(Date.now() + day)).toBe("");
    expect(warning(Date.now() + 25 * day)).toMatch(/^TLS certificate first.crt expires on /);
    expect(warning(Date.now() + 40 * day)).toMatch(/^TLS certificate first.crt has expired on /);
    expect(warning(Date.now() - day)).toMatch(/^TLS certificate first.crt is not valid before /);
  });

  test("files that change are used for new connections within a minute; bad ones are not, and change nothing", async () => {
    const files = { certFile: join(folder.path, "live.crt"), keyFile: join(folder.path, "live.key") };
    const put = (from: TlsFiles) => {
      copyFileSync(from.certFile, files.certFile);
      copyFileSync(from.keyFile, files.keyFile);
    };
    put(first);
    const server = await listening(files);
    const [info, warn] = [vi.fn(), vi.fn()];
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const reloading = reloadTls(server, files, readTls(files).version, { info, warn });
    try {
      vi.advanceTimersByTime(60_000);
      expect([info.mock.calls.length, warn.mock.calls.length]).toEqual([0, 0]);
      copyFileSync(second.certFile, files.certFile);
      vi.advanceTimersByTime(60_000);
      expect(warn).toHaveBeenCalledExactlyOnceWith(
        { reason: `TLS key ${files.keyFile} does not belong to the certificate ${files.certFile}` },
        "TLS files cannot be used; the old ones stay in use",
      );
      expect((await certificateOf(server)).subject.CN).toBe("first");
      put(second);
      vi.advanceTimersByTime(60_000);
      expect((await certificateOf(server)).subject.CN).toBe("second");
      expect([info.mock.calls.length, warn.mock.calls.length]).toEqual([1, 1]);
    } finally {
      reloading.end();
      expect(vi.getTimerCount()).toBe(0);
      vi.useRealTimers();
      server.close();
    }
  });
});
