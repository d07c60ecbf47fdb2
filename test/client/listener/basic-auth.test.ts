import { utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hashSync } from "bcryptjs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type BasicAuth, createBasicAuth, LoginsBusy } from "#client/listener/basic-auth.ts";
import { type PasswordCheck, parseHtpasswd } from "#client/listener/htpasswd.ts";
import { makeTemporaryFolder, type TemporaryFolder } from "#test/support/tmp.ts";

// As cheap as bcrypt can be: the real cost is not what is tested.
const hashes = { secret: hashSync("secret", 4), other: hashSync("other:with colon", 4) };

let folder: TemporaryFolder;
let file: string;
let nowMs: number;
let open: BasicAuth[];

beforeEach(async () => {
  folder = await makeTemporaryFolder();
  file = join(folder.path, "htpasswd");
  writeFileSync(file, `# the team\n\nreader:${hashes.secret}\r\nwriter:${hashes.other}\n`);
  [nowMs, open] = [0, []];
});

afterEach(async () => {
  await Promise.all(open.map((auth) => auth.close()));
  await folder[Symbol.asyncDispose]();
});

function basic(login: string): string {
  return `Basic ${Buffer.from(login).toString("base64")}`;
}

function start(passwords?: PasswordCheck): BasicAuth & { readonly logs: string[] } {
  const logs: string[] = [];
  const note = (_fields: object, text: string) => logs.push(text);
  const log = { info: note, warn: note } as never;
  const auth = createBasicAuth(file, { log, now: () => nowMs, passwords });
  open.push(auth);
  return Object.assign(auth, { logs });
}

/** Passwords whose comparison ends when it is told to. */
function slowPasswords() {
  const waiting: ((isEqual: boolean) => void)[] = [];
  const hashesSeen: string[] = [];
  const check: PasswordCheck = {
    get pending() {
      return waiting.length;
    },
    compare(_password, hash) {
      hashesSeen.push(hash);
      return new Promise((resolve) => waiting.push(resolve));
    },
    close: async () => {},
  };
  const answer = (isEqual: boolean) => {
    for (const resolve of waiting.splice(0)) resolve(isEqual);
  };
  return { check, answer, hashesSeen };
}

test("a login of the file is let in, also with a colon in the password; anything else is not", async () => {
  const auth = start();
  expect(await auth.check(basic("reader:secret"))).toBe(true);
  expect(await auth.check(basic("reader:secret").replace("Basic", "basic"))).toBe(true);
  expect(await auth.check(basic("writer:other:with colon"))).toBe(true);
  for (const bad of [
    undefined,
    "",
    "Basic",
    "Basic !",
    basic("reader"),
    basic(":secret"),
    basic("reader:"),
    basic("reader:wrong"),
    basic("stranger:secret"),
    `Bearer ${Buffer.from("reader:secret").toString("base64")}`,
  ])
    expect(await auth.check(bad), String(bad)).toBe(false);
});

test("an unknown user takes a comparison as well, as costly as the costliest of the file", async () => {
  writeFileSync(file, `a:${hashes.secret}\nb:${hashes.secret.replace("$04$", "$11$")}\n`);
  const passwords = slowPasswords();
  const answer = start(passwords.check).check(basic("stranger:x"));
  passwords.answer(true);
  expect(await answer).toBe(false);
  expect(passwords.hashesSeen[0]).toMatch(/^\$2b\$11\$/);
});

test("a right login is remembered for 5 minutes, a wrong one is not", async () => {
  const passwords = slowPasswords();
  const auth = start(passwords.check);
  const asked = async (login: string, isEqual: boolean) => {
    const [before, answer] = [passwords.hashesSeen.length, auth.check(basic(login))];
    passwords.answer(isEqual);
    return [await answer, passwords.hashesSeen.length - before];
  };
  expect(await asked("reader:secret", true)).toEqual([true, 1]);
  expect(await asked("reader:secret", true)).toEqual([true, 0]);
  nowMs += 300_000;
  expect(await asked("reader:secret", true)).toEqual([true, 1]);
  expect(await asked("reader:wrong", false)).toEqual([false, 1]);
  expect(await asked("reader:wrong", false)).toEqual([false, 1]);
});

test("the same login at the same time is compared once", async () => {
  const passwords = slowPasswords();
  const auth = start(passwords.check);
  const answers = Array.from({ length: 20 }, () => auth.check(basic("reader:secret"), "10.0.0.1"));
  passwords.answer(true);
  expect(new Set(await Promise.all(answers))).toEqual(new Set([true]));
  expect(passwords.hashesSeen.length).toBe(1);
});

test("a flood of wrong logins finds its bound, per address and in all, and what is remembered still comes in", async () => {
  const passwords = slowPasswords();
  const auth = start(passwords.check);
  const known = auth.check(basic("reader:secret"), "10.0.0.1");
  passwords.answer(true);
  await known;
  const flood = (address: string, count: number) =>
    Array.from({ length: count }, (_, at) => auth.check(basic(`reader:${address} ${at}`), address));
  const eight = flood("10.0.0.2", 8);
  await expect(auth.check(basic("reader:one more"), "10.0.0.2")).rejects.toThrow(LoginsBusy);
  const others = Array.from({ length: 7 }, (_, at) => flood(`10.0.1.${at}`, 8)).flat();
  await expect(auth.check(basic("writer:x"), "10.0.0.3")).rejects.toThrow(LoginsBusy);
  expect(await auth.check(basic("reader:secret"), "10.0.0.2")).toBe(true);
  passwords.answer(false);
  expect(new Set(await Promise.all([...eight, ...others]))).toEqual(new Set([false]));
  const again = auth.check(basic("writer:x"), "10.0.0.2");
  passwords.answer(false);
  expect(await again).toBe(false);
});

test("a file that changes is followed at once: who was taken out is out, also when just remembered", async () => {
  const auth = start();
  expect(await auth.check(basic("reader:secret"))).toBe(true);
  writeFileSync(file, `writer:${hashes.other}\n`);
  nowMs += 1_001;
  expect(await auth.check(basic("reader:secret"))).toBe(false);
  expect(await auth.check(basic("writer:other:with colon"))).toBe(true);
  expect(auth.logs).toEqual(["htpasswd reloaded"]);
});

test("a login that was being compared when the file changed is not remembered", async () => {
  const passwords = slowPasswords();
  const auth = start(passwords.check);
  const early = auth.check(basic("reader:secret"));
  writeFileSync(file, `writer:${hashes.other}\n`);
  nowMs += 1_001;
  const late = auth.check(basic("reader:secret"));
  passwords.answer(true);
  expect([await early, await late]).toEqual([true, false]);
  const again = auth.check(basic("reader:secret"));
  passwords.answer(true);
  expect(await again).toBe(false);
});

test("a file that changes for the worse is a warning, once, and the old logins hold", async () => {
  const auth = start();
  writeFileSync(file, "reader:plain text\n");
  utimesSync(file, 1, 1);
  for (let round = 0; round < 3; round++) {
    nowMs += 1_001;
    expect(await auth.check(basic("reader:secret"))).toBe(true);
  }
  expect(auth.logs).toEqual(["htpasswd cannot be used; the old logins hold"]);
});

test.each([
  ["x:$apr1$salt$hash", "the hash is MD5 (apr1), only bcrypt is taken (htpasswd -B)"],
  ["x:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "the hash is SHA-1, only bcrypt is taken (htpasswd -B)"],
  ["x:$6$salt$hash", "the hash is SHA-2 crypt, only bcrypt is taken (htpasswd -B)"],
  ["x:secret", "the hash is of another form, only bcrypt is taken (htpasswd -B)"],
  [`x:${hashes.secret.slice(0, -1)}`, "the bcrypt hash is damaged, only bcrypt is taken (htpasswd -B)"],
  [`x:${hashes.secret.replace("$04$", "$20$")}`, "the cost is 20, not 4 to 15"],
  ["secret", "it is not USER:HASH"],
  [`reader:${hashes.secret}`, "this user was there before"],
])("%s is refused with its line, and without what it says", (line, problem) => {
  const text = `reader:${hashes.secret}\n${line}\n`;
  expect(() => parseHtpasswd(text, "logins")).toThrow(`htpasswd logins line 2: ${problem}`);
});

test("a file that is not there is an error that says so", () => {
  expect(() => createBasicAuth(join(folder.path, "none"))).toThrow(/^htpasswd .*none: there is no such file$/);
});
