import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { PersonState } from "../../contract/person-state.ts";
import { type Person, PersonStates } from "../../worker/sessions/person-state.ts";

const USER = "alice@example.com";
const UNLOCKED: PersonState = { version: 1, lock: null, grants: [] };
const LOCKED: PersonState = {
  version: 2,
  lock: { user: USER, by: "admin@example.com", reason: "stolen laptop", until: null },
  grants: [],
};
const DENIED = {
  ok: false,
  error: {
    code: "user_locked",
    message: "alice@example.com is locked by admin@example.com, and administrators can lift it: stolen laptop",
  },
};
const UNKNOWN = { ok: false, error: { code: "object_unavailable", message: expect.stringContaining("try again") } };
const ALLOWED = { ok: true, value: null };

type Answer = () => Promise<unknown>;
const say =
  (value: unknown): Answer =>
  async () => ({ ok: true, value });
const fail: Answer = () => Promise.reject(new Error("Network connection lost."));
const hang: Answer = () => new Promise(() => {});

let now: number;
let states: PersonStates;
/** What the person's objects answer, by their names; and which were asked, and with which method. */
let objects: Record<string, Record<string, Answer>>;
let asked: string[];
/** What the invocations still wait for. */
let background: Promise<unknown>[];

beforeEach(() => {
  now = 1_764_000_000_000;
  states = new PersonStates(() => now);
  objects = {};
  asked = [];
  background = [];
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const stubOf = (name: string) => {
  const ask = (method: string) => {
    asked.push(`${name}: ${method}`);
    return (objects[name]?.[method] ?? fail)();
  };
  return { readState: () => ask("readState"), currentLock: () => ask("currentLock") };
};
const namespace = { idFromName: (name: string) => name, get: stubOf } as unknown as Person["namespace"];
const context = { waitUntil: (work: Promise<unknown>) => void background.push(work) };

function person(user = USER, location: Person["location"] = null): Person {
  return { namespace, user, location, context };
}

function answer(state: unknown, name = USER): void {
  objects[name] = { readState: say(state) };
}

describe("a person who is not locked", () => {
  test("is asked about once in ten seconds, of which the later five ask ahead without waiting", async () => {
    answer(UNLOCKED);
    for (const [ageMs, questions] of [
      [0, 1],
      [4_999, 1],
      [5_000, 2],
      [9_999, 2],
    ] as const) {
      now = 1_764_000_000_000 + ageMs;
      expect(await states.checkLock(person())).toEqual(ALLOWED);
      expect(asked).toHaveLength(questions);
      await Promise.all(background);
    }
    // The second answer is from second 5.
    now = 1_764_000_000_000 + 14_999;
    objects = { [USER]: { readState: hang } };
    expect(await states.checkLock(person())).toEqual(ALLOWED);
  });

  test("is asked about once by requests that come together", async () => {
    answer(UNLOCKED);
    expect(await Promise.all([1, 2, 3].map(() => states.checkLock(person())))).toEqual([ALLOWED, ALLOWED, ALLOWED]);
    expect(asked).toEqual([`${USER}: readState`]);
    expect(await states.checkLock(person("bob@example.com"))).toEqual(UNKNOWN);
    expect(asked).toHaveLength(2);
  });

  test("is not kept waiting by a question whose own request has vanished", async () => {
    vi.useFakeTimers();
    objects = { [USER]: { readState: hang } };
    void states.checkLock(person());
    answer(UNLOCKED);
    now += 5_000;
    expect(await states.checkLock(person())).toEqual(ALLOWED);
  });
});

describe("a lock", () => {
  test("holds at the latest when the last answer is ten seconds old, counted from its question", async () => {
    answer(UNLOCKED);
    await states.checkLock(person());
    answer(LOCKED);
    now += 10_000;
    expect(await states.checkLock(person())).toEqual(DENIED);
  });

  test("holds in another isolate as late, and its end too", async () => {
    const other = new PersonStates(() => now);
    answer(UNLOCKED);
    await states.checkLock(person());
    now += 3_000;
    await other.checkLock(person());
    answer(LOCKED);
    now += 7_000;
    expect(await states.checkLock(person())).toEqual(DENIED);
    now += 3_000;
    expect(await other.checkLock(person())).toEqual(DENIED);
    answer({ version: 3, lock: null, grants: [] });
    now += 10_000;
    expect(await states.checkLock(person())).toEqual(ALLOWED);
    expect(await other.checkLock(person())).toEqual(ALLOWED);
  });

  test("ends at its time, to the millisecond, without a new question", async () => {
    answer({ ...LOCKED, lock: { ...LOCKED.lock, until: now + 4_000 } });
    now += 3_999;
    const message = expect.stringMatching(/ is locked until \d{4}-.*Z by admin@example.com, and /);
    expect(await states.checkLock(person())).toEqual({ ok: false, error: { code: "user_locked", message } });
    now += 1;
    expect(await states.checkLock(person())).toEqual(ALLOWED);
    expect(asked).toHaveLength(1);
  });

  test("is not lifted by a copy that is older than what another object said", async () => {
    answer(LOCKED);
    expect(await states.checkLock(person())).toEqual(DENIED);
    answer(UNLOCKED, `${USER} weur`);
    now += 10_000;
    expect(await states.checkLock(person(USER, "weur"))).toEqual(DENIED);
    answer({ version: 3, lock: null, grants: [] }, `${USER} weur`);
    now += 10_000;
    expect(await states.checkLock(person(USER, "weur"))).toEqual(ALLOWED);
    // Nor is it brought back.
    now += 10_000;
    expect(await states.checkLock(person())).toEqual(ALLOWED);
  });

  test("of an object with older code holds, and so does its end", async () => {
    answer(LOCKED);
    await states.checkLock(person());
    const missing: Answer = () => Promise.reject(new TypeError('The RPC receiver does not implement "readState"'));
    objects = { [USER]: { readState: missing, currentLock: say(null) } };
    now += 10_000;
    expect(await states.checkLock(person())).toEqual(ALLOWED);
    objects = { [USER]: { readState: missing, currentLock: say(LOCKED.lock) } };
    now += 10_000;
    expect(await states.checkLock(person())).toEqual(DENIED);
  });
});

describe("nobody knows", () => {
  test("where the object fails: nothing older than ten seconds counts, neither way", async () => {
    expect(await states.checkLock(person())).toEqual(UNKNOWN);
    answer(UNLOCKED);
    expect(await states.checkLock(person())).toEqual(ALLOWED);
    objects = {};
    now += 9_999;
    expect(await states.checkLock(person())).toEqual(ALLOWED);
    await Promise.all(background);
    now += 1;
    expect(await states.checkLock(person())).toEqual(UNKNOWN);
    answer(UNLOCKED);
    expect(await states.checkLock(person())).toEqual(ALLOWED);
  });

  test("where the object does not answer within five seconds", async () => {
    vi.useFakeTimers();
    objects = { [USER]: { readState: hang } };
    const checked = states.checkLock(person());
    await vi.advanceTimersByTimeAsync(4_999);
    expect(await Promise.race([checked, "waits"])).toBe("waits");
    await vi.advanceTimersByTimeAsync(1);
    expect(await checked).toEqual(UNKNOWN);
  });

  test("after the clock was set back, until the object is asked again", async () => {
    answer(UNLOCKED);
    await states.checkLock(person());
    objects = {};
    now -= 60_000;
    expect(await states.checkLock(person())).toEqual(UNKNOWN);
  });

  test("where the answer is not one", async () => {
    answer({ version: -1, lock: null, grants: [] });
    expect(await states.checkLock(person())).toMatchObject({ ok: false });
    answer({ version: 1 });
    expect(await states.checkLock(person())).toMatchObject({ ok: false });
  });
});

test("an isolate keeps the states of at most 5,000 people", async () => {
  for (let i = 0; i <= 5_000; i++) states.learn(`user-${i}@example.com`, UNLOCKED, now);
  expect(await states.checkLock(person("user-5000@example.com"))).toEqual(ALLOWED);
  expect(await states.checkLock(person("user-0@example.com"))).toEqual(UNKNOWN);
});
