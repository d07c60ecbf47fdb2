import { afterEach, expect, test, vi } from "vitest";
import { type Page, type PageClaim, PageMemory, pageBytes } from "#publish/page-memory.ts";

afterEach(() => vi.useRealTimers());

/** Three pages, and which of those added have been forgotten. */
function memoryOfThree() {
  const memory = new PageMemory(3 * pageBytes);
  const forgotten: string[] = [];
  const add = (name: string, isWanted = false): Page | undefined => {
    const page = memory.take(pageBytes, isWanted, 0, () => forgotten.push(name));
    if (page) page.filledBytes = pageBytes;
    return page;
  };
  return { memory, forgotten, add };
}

test("pages that have been sent make room, least recently used ones first", () => {
  const { memory, forgotten, add } = memoryOfThree();
  const pages = ["a", "b", "c"].map((name) => add(name)!);
  for (const page of pages) memory.filled(page);
  expect(add("read ahead")).toBeUndefined();
  for (const page of pages) memory.sent(page);
  memory.touch(pages[0]!);
  expect(add("d")).toBeDefined();
  expect(forgotten).toEqual(["b"]);
  expect(memory.sizeBytes).toBe(3 * pageBytes);
});

test("a page that was read ahead makes room only when it is not used, and another is waited for", () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  const { memory, forgotten, add } = memoryOfThree();
  for (const name of ["a", "b", "c"]) memory.filled(add(name)!);
  expect(add("wanted at once", true)).toBeUndefined();
  vi.advanceTimersByTime(2_500);
  expect(add("read ahead")).toBeUndefined();
  expect(add("wanted", true)).toBeDefined();
  expect(forgotten).toEqual(["a"]);
});

test("a page that is being filled stays, whoever wants room", () => {
  const { forgotten, add } = memoryOfThree();
  for (const name of ["a", "b", "c"]) add(name);
  expect(add("d", true)).toBeUndefined();
  expect(forgotten).toEqual([]);
});

test("one that is wanted by another meanwhile is withdrawn all the same", async () => {
  const { memory, add } = memoryOfThree();
  const pages = ["a", "b", "c"].map((name) => add(name)!);
  const granted: string[] = [];
  const claim = { puller: {}, isWanted: () => true, grant: () => void granted.push("late") };
  memory.claim(claim);
  claim.puller = {};
  memory.withdraw(claim);
  expect(memory.waiting).toBe(0);
  memory.filled(pages[0]!);
  memory.sent(pages[0]!);
  await Promise.resolve();
  expect(granted).toEqual([]);
});

test("those who wait get room in turns of their pullers, and what is only read ahead comes last", async () => {
  const { memory, add } = memoryOfThree();
  const pages = ["a", "b", "c"].map((name) => add(name)!);
  const granted: string[] = [];
  const wait = (name: string, puller: object, isWanted = true) => {
    const claim: PageClaim = {
      puller,
      isWanted: () => isWanted,
      grant: () => {
        granted.push(name);
        pages.push(add(name)!);
      },
    };
    memory.claim(claim);
    return claim;
  };
  const [one, other] = [{}, {}];
  wait("one's read-ahead", one, false);
  for (const name of ["one's 1st", "one's 2nd", "one's 3rd"]) wait(name, one);
  wait("other's 1st", other);
  memory.withdraw(wait("of one that has left", other));
  for (let sent = 0; sent < 5; sent++) {
    memory.filled(pages[sent]!);
    memory.sent(pages[sent]!);
    await Promise.resolve();
  }
  expect(granted).toEqual(["one's 1st", "other's 1st", "one's 2nd", "one's 3rd", "one's read-ahead"]);
  expect(memory.waiting).toBe(0);
});
