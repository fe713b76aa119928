/** What grants cease to give, and what was opened with it. */
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  compareGiven,
  type GivenAccess,
  loadGivenAccess,
  type OpenedWith,
  SETTLED_AFTER_MS,
  tryLoadGivenAccess,
  whyNoLongerGiven,
} from "../../../contract/given-access.ts";
import type { AuditLog } from "../../../durable/audit-log.ts";
import type { Recordings } from "../../../durable/recording/recordings.ts";
import type { Closure } from "../../../durable/session/close-cause.ts";
import { LiveSession } from "../../../durable/session/live-session.ts";
import { LiveSessions } from "../../../durable/session/live-sessions.ts";
import type { Grant } from "../../../worker/config/schema.ts";
import type { Bindings } from "../../../worker/env.ts";
import { GivenAccessReader, noteGivenAccess } from "../../../worker/sessions/given-access.ts";
import { PLAN } from "../../support/session-plan.ts";

const NOW = Date.parse("2026-11-27T12:00:00Z");
const WEEK = 7 * 24 * 60 * 60_000;

const grant = (name: string, groups: string[], rules: string[] = []) => ({ name, gives: { groups, rules } });

/** What is noted of documents that follow each other. */
function noted(...documents: ReturnType<typeof grant>[][]): GivenAccess | undefined {
  let known: GivenAccess | undefined;
  for (const [index, grants] of documents.entries()) {
    known = compareGiven(known, grants, NOW + index * SETTLED_AFTER_MS) ?? known;
  }
  return known;
}

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

describe("what is noted", () => {
  it("is at first what grants give, and nothing that they have ceased to", () => {
    expect(noted([grant("prod", ["a"], ["r"])])).toEqual({
      ...{ grants: { prod: { groups: ["a"], rules: ["r"] } }, changedAt: NOW, lost: [] },
    });
  });

  it("is what a grant has ceased to give, and not what it gives in addition", () => {
    const lost = [{ grant: "prod", groups: ["b"], rules: ["r"], at: NOW + SETTLED_AFTER_MS }];
    const before = [grant("prod", ["a", "b"], ["r", "s"])];
    const known = noted(before, [grant("new", ["d"]), grant("prod", ["a", "e"], ["s"])]);
    expect(known?.lost).toEqual(lost);
    // What was given in between counts, too.
    const again = noted(before, [grant("prod", ["a", "e"], ["s"])], [grant("prod", ["a"], ["s"])]);
    expect(again?.lost).toEqual([...lost, { grant: "prod", groups: ["e"], rules: [], at: NOW + 2 * SETTLED_AFTER_MS }]);
  });

  it("stays as it is where nothing has changed, in whatever order, and right after a change", () => {
    const known = noted([grant("one", ["a"]), grant("two", ["b"])]);
    expect(compareGiven(known, [grant("two", ["b"]), grant("one", ["a"])], NOW + WEEK)).toBeUndefined();
    // The version before the deploy may still be triggered.
    const less = [grant("one", []), grant("two", ["b"])];
    expect(compareGiven(known, less, NOW + SETTLED_AFTER_MS - 1)).toBeUndefined();
    expect(compareGiven(known, less, NOW + SETTLED_AFTER_MS)?.lost).toHaveLength(1);
  });

  it("forgets what is older than any access", () => {
    const known = noted([grant("prod", ["a", "b"])], [grant("prod", ["a"])]);
    const later = (ms: number) => compareGiven(known, [grant("prod", ["z"])], NOW + SETTLED_AFTER_MS + ms)?.lost;
    expect(later(WEEK - 1)).toHaveLength(2);
    expect(later(WEEK)).toHaveLength(1);
  });

  it("is all that a grant gave that is gone, also where it comes back with less", () => {
    const wide = [grant("kept", ["k"]), grant("prod", ["a", "b"], ["r"])];
    const lost = [{ grant: "prod", groups: ["a", "b"], rules: ["r"], at: NOW + SETTLED_AFTER_MS }];
    expect(noted(wide, [grant("kept", ["k"])])?.lost).toEqual(lost);
    expect(noted(wide, [grant("kept", ["k"])], [grant("kept", ["k"]), grant("prod", ["a"])])?.lost).toEqual(lost);
  });

  it("knows no grant by the name of what every object has", () => {
    const known = noted([grant("constructor", ["a"])], [grant("prod", ["a"])]);
    expect(known?.lost).toMatchObject([{ grant: "constructor", groups: ["a"] }]);
  });
});

describe("what is open", () => {
  const known = noted(
    [grant("prod", ["a", "b"], ["shells"]), grant("gone", ["c"])],
    [grant("prod", ["a"]), grant("other", ["b"], ["shells"])],
  ) as GivenAccess;
  const opened = (more: Partial<OpenedWith> = {}): OpenedWith => ({
    ...{ at: NOW, grants: ["prod"], groups: ["developers", "a"], rule: null },
    ...more,
  });

  it.each<[string, Partial<OpenedWith>, string]>([
    ["with the group", { groups: ["a", "b"] }, 'the access "prod" no longer gives the group b'],
    ["with the rule", { rule: "shells" }, 'the access "prod" is no longer an approval for the rule shells'],
    [
      "by an isolate with the document from before, a moment after the change was noted",
      { at: NOW + 2 * SETTLED_AFTER_MS - 1, groups: ["b"] },
      'the access "prod" no longer gives the group b',
    ],
    ["with a grant that is gone", { grants: ["gone"], groups: ["c"] }, 'the access "gone" no longer gives the group c'],
    [
      "with another grant, too, which never gave it",
      { grants: ["prod", "constructor"], groups: ["b"] },
      'the access "prod" no longer gives the group b',
    ],
  ])("ends that was opened %s", (_, more, why) => {
    expect(whyNoLongerGiven(known, opened(more))).toBe(why);
  });

  it.each<[string, Partial<OpenedWith>]>([
    ["with what the grant still gives", {}],
    ["with another grant", { grants: ["other"], groups: ["b"], rule: "shells" }],
    ["without a grant", { grants: [], groups: ["b"], rule: "shells" }],
    ["with another grant that gives it, too", { grants: ["prod", "other"], groups: ["b"], rule: "shells" }],
    ["when the grant had long ceased to give it", { at: NOW + 2 * SETTLED_AFTER_MS, groups: ["b"], rule: "shells" }],
  ])("goes on that was opened %s", (_, more) => {
    expect(whyNoLongerGiven(known, opened(more))).toBeUndefined();
  });

  it("goes on where the grant gives it again, also in the minutes after that, and what it does not give ends", () => {
    const wide = grant("prod", ["a", "b"], ["shells"]);
    const again = noted([wide], [grant("prod", ["a"])], [grant("prod", ["a", "b"])]) as GivenAccess;
    const at = NOW + SETTLED_AFTER_MS + 60_000;
    for (const openedAt of [NOW, at]) {
      expect(whyNoLongerGiven(again, opened({ at: openedAt, groups: ["b"] }))).toBeUndefined();
      expect(whyNoLongerGiven(again, opened({ at: openedAt, rule: "shells" }))).toContain("the rule shells");
    }
  });
});

describe("the note in R2", () => {
  type Get = Parameters<typeof loadGivenAccess>[0]["get"];
  const bucket = (get: Get) => ({ get });

  it("is read with what a later version adds, and may be missing", async () => {
    const note = { grants: {}, changedAt: NOW, lost: [] };
    expect(await loadGivenAccess(bucket(async () => ({ json: async () => ({ ...note, more: 1 }) })))).toEqual(note);
    expect(await loadGivenAccess(bucket(async () => null))).toBeUndefined();
  });

  it("that is none, or cannot be read, ends nothing, and is logged", async () => {
    const log = vi.spyOn(console, "warn").mockImplementation(() => {});
    const broken: Get[] = [async () => ({ json: async () => ({ lost: 1 }) }), () => Promise.reject(new Error("away"))];
    for (const get of broken) expect(await tryLoadGivenAccess(bucket(get))).toBeUndefined();
    expect(log.mock.calls.flat().map((line) => JSON.parse(line).event)).toEqual(
      Array(broken.length).fill("given_access_unreadable"),
    );
  });
});

describe("a shell that waits for an approval", () => {
  const APPROVAL = {
    ...{ accessId: "a-1", grant: "prod", waitUntil: NOW + WEEK, howToApprove: "ask", isOwnRequest: true, copyTo: [] },
  };

  /** @returns why it has ended */
  function waitingFor(rule: string): { sessions: LiveSessions; ended: (string | null)[] } {
    const ended: (string | null)[] = [];
    const sessions = new LiveSessions({} as AuditLog, {} as Recordings, () => {});
    const onClosed = (_: LiveSession, { outcome }: Closure) => void ended.push(outcome.reason);
    sessions.add(new LiveSession({ ...PLAN, rule, approval: APPROVAL }, NOW, undefined, onClosed));
    return { sessions, ended };
  }

  it("ends where its grant has ceased to approve its rule, and goes on where another rule has lost it", () => {
    const known = noted([grant("prod", [], ["shells", "others"])], [grant("prod", [], ["others"])]) as GivenAccess;
    const [lost, kept] = [waitingFor("shells"), waitingFor("others")];
    for (const { sessions } of [lost, kept]) {
      expect(sessions.haveGrants).toBe(true);
      sessions.endNotGiven(known);
    }
    const why = 'session ended: the access "prod" is no longer an approval for the rule shells';
    expect([lost.ended, kept.ended]).toEqual([[why], []]);
  });
});

describe("an isolate that has streams open", () => {
  it("never waits for R2, and has what it said at the next look, also where what asked has ended", async () => {
    vi.useFakeTimers({ now: NOW });
    const note = noted([grant("prod", ["a"])]);
    const { promise, resolve } = Promise.withResolvers<{ json: () => Promise<unknown> }>();
    const get = vi.fn(() => promise);
    const kept: Promise<unknown>[] = [];
    const reader = new GivenAccessReader();
    const read = () => reader.read({ get } as unknown as Bindings["RECORDINGS"], context, NOW);
    const context = { waitUntil: (work: Promise<unknown>) => void kept.push(work) };
    expect([read(), get.mock.calls.length]).toEqual([undefined, 0]);
    vi.setSystemTime(NOW + 10_000);
    expect([read(), read(), get.mock.calls.length]).toEqual([undefined, undefined, 1]);
    resolve({ json: async () => note });
    await Promise.all(kept);
    expect([read(), get.mock.calls.length]).toEqual([note, 1]);
  });

  it("goes on with what it knew while R2 hangs, and asks again", async () => {
    vi.useFakeTimers({ now: NOW });
    vi.spyOn(console, "warn").mockImplementation(() => {});
    const note = noted([grant("prod", ["a"])]);
    const kept: Promise<unknown>[] = [];
    const reader = new GivenAccessReader();
    const context = { waitUntil: (work: Promise<unknown>) => void kept.push(work) };
    const readFrom = (get: () => Promise<unknown>) =>
      reader.read({ get } as unknown as Bindings["RECORDINGS"], context, NOW - WEEK);
    readFrom(async () => ({ json: async () => note }));
    await Promise.all(kept);
    const hanging = vi.fn(() => new Promise<never>(() => {}));
    for (const times of [1, 2]) {
      await vi.advanceTimersByTimeAsync(10_000);
      expect(readFrom(hanging)).toEqual(note);
      expect(hanging).toHaveBeenCalledTimes(times);
    }
    await vi.advanceTimersByTimeAsync(10_000);
    await Promise.all(kept);
    expect(readFrom(hanging)).toEqual(note);
  });
});

describe("the cron trigger", () => {
  const GRANTS = [grant("prod", ["a"])] as unknown as Grant[];
  const noteIn = async (get: () => Promise<unknown>) => {
    const put = vi.fn(async (_key: string, _text: string) => {});
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    const failed = await noteGivenAccess({ get, put } as unknown as Bindings["RECORDINGS"], GRANTS, NOW);
    return { failed, written: put.mock.calls.map(([, text]) => JSON.parse(text)), log: log.mock.calls.flat() };
  };

  it.each<[string, () => Promise<unknown>]>([
    ["is no JSON", () => new Response("{").json()],
    ["is something else", async () => ({ lost: 1 })],
  ])("writes a new note in place of one that %s, and says so", async (_, json) => {
    const { failed, written, log } = await noteIn(async () => ({ json }));
    expect([failed, written]).toEqual([[], [noted([grant("prod", ["a"])])]]);
    expect(log.map((line) => JSON.parse(line).event)).toEqual(["given_access_replaced"]);
  });

  it("fails where R2 does, and keeps the note that is there", async () => {
    const { failed, written } = await noteIn(() => Promise.reject(new Error("away")));
    expect([failed, written]).toEqual([["noting what grants give"], []]);
  });
});
