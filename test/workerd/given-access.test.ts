/** What grants have ceased to give: how the cron trigger notes it, isolates read it, and shells end. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { compareGiven, type GivenAccess, SETTLED_AFTER_MS } from "../../contract/given-access.ts";
import type { AuditLog } from "../../durable/audit-log.ts";
import type { Recordings } from "../../durable/recording/recordings.ts";
import type { Closure } from "../../durable/session/close-cause.ts";
import { LiveSession } from "../../durable/session/live-session.ts";
import { LiveSessions } from "../../durable/session/live-sessions.ts";
import type { Grant } from "../../worker/config/schema.ts";
import type { Bindings } from "../../worker/env.ts";
import { GivenAccessReader, noteGivenAccess } from "../../worker/sessions/given-access.ts";
import { PLAN } from "../support/session-plan.ts";

const NOW = Date.parse("2026-11-27T12:00:00Z");
const WEEK = 7 * 24 * 60 * 60_000;
const GRANTS = [{ name: "prod", gives: { groups: ["a"], rules: [] } }] as unknown as Grant[];
const NOTE = compareGiven(undefined, GRANTS, NOW);

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

describe("an isolate that has streams open", () => {
  it("never waits for R2, and has what it said at the next look, also where what asked has ended", async () => {
    vi.useFakeTimers({ now: NOW });
    const { promise, resolve } = Promise.withResolvers<{ json: () => Promise<unknown> }>();
    const get = vi.fn(() => promise);
    const kept: Promise<unknown>[] = [];
    const reader = new GivenAccessReader();
    const read = () => reader.read({ get } as unknown as Bindings["RECORDINGS"], context, NOW);
    const context = { waitUntil: (work: Promise<unknown>) => void kept.push(work) };
    expect([read(), get.mock.calls.length]).toEqual([undefined, 0]);
    vi.setSystemTime(NOW + 10_000);
    expect([read(), read(), get.mock.calls.length]).toEqual([undefined, undefined, 1]);
    resolve({ json: async () => NOTE });
    await Promise.all(kept);
    expect([read(), get.mock.calls.length]).toEqual([NOTE, 1]);
  });

  it("goes on with what it knew while R2 hangs, and asks again", async () => {
    vi.useFakeTimers({ now: NOW });
    vi.spyOn(console, "warn").mockImplementation(() => {});
    const kept: Promise<unknown>[] = [];
    const reader = new GivenAccessReader();
    const context = { waitUntil: (work: Promise<unknown>) => void kept.push(work) };
    const readFrom = (get: () => Promise<unknown>) =>
      reader.read({ get } as unknown as Bindings["RECORDINGS"], context, NOW - WEEK);
    readFrom(async () => ({ json: async () => NOTE }));
    await Promise.all(kept);
    const hanging = vi.fn(() => new Promise<never>(() => {}));
    for (const times of [1, 2]) {
      await vi.advanceTimersByTimeAsync(10_000);
      expect(readFrom(hanging)).toEqual(NOTE);
      expect(hanging).toHaveBeenCalledTimes(times);
    }
    await vi.advanceTimersByTimeAsync(10_000);
    await Promise.all(kept);
    expect(readFrom(hanging)).toEqual(NOTE);
  });
});

describe("the cron trigger", () => {
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
    expect([failed, written]).toEqual([[], [NOTE]]);
    expect(log.map((line) => JSON.parse(line).event)).toEqual(["given_access_replaced"]);
  });

  it("fails where R2 does, and keeps the note that is there", async () => {
    const { failed, written } = await noteIn(() => Promise.reject(new Error("away")));
    expect([failed, written]).toEqual([["noting what grants give"], []]);
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
    const giving = (...rules: string[]) => [{ name: "prod", gives: { groups: [], rules } }];
    const before = compareGiven(undefined, giving("shells", "others"), NOW);
    const known = compareGiven(before, giving("others"), NOW + SETTLED_AFTER_MS) as GivenAccess;
    const [lost, kept] = [waitingFor("shells"), waitingFor("others")];
    for (const { sessions } of [lost, kept]) {
      expect(sessions.haveGrants).toBe(true);
      sessions.endNotGiven(known);
    }
    const why = 'session ended: the access "prod" is no longer an approval for the rule shells';
    expect([lost.ended, kept.ended]).toEqual([[why], []]);
  });
});
