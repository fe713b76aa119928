/** What the page Live knows after each record of the directory's stream. */
import { describe, expect, it } from "vitest";
import type { Session } from "../../../console/src/api/endpoints.ts";
import { idleMs, type LiveRecord, NOTHING_LIVE, withRecord } from "../../../console/src/live.ts";

const session = (id: string, startedAt: string) =>
  ({ id, startedAt, user: "alice@example.com", bytesOut: 1 }) as Session;
const ONE = session("one", "2026-11-27T08:00:00.000Z");
const TWO = session("two", "2026-11-27T08:00:01.000Z");
const counts = {
  id: "one",
  lastUsedAt: "2026-11-27T08:05:00.000Z",
  bytesIn: 1,
  bytesOut: 2,
  messagesIn: 3,
  messagesOut: 4,
  waitsFor: null,
};

const told = (...records: LiveRecord[]) => records.reduce(withRecord, NOTHING_LIVE);
const ids = ({ sessions }: typeof NOTHING_LIVE) => sessions.map(({ id }) => id);

describe("what is live", () => {
  it("is nothing that anybody knows before the stream has said so", () => {
    expect(NOTHING_LIVE.isComplete).toBeUndefined();
    expect(told({ type: "summary", complete: true, omitted: 3 })).toEqual({
      sessions: [],
      isComplete: true,
      omitted: 3,
    });
  });

  it("is listed newest first, each session once", () => {
    expect(ids(told({ type: "sessions", sessions: [ONE] }, { type: "sessions", sessions: [TWO, ONE] }))).toEqual([
      "two",
      "one",
    ]);
  });

  it("changes by counts, and a count of a session that nobody told of shows none", () => {
    const state = told(
      { type: "sessions", sessions: [ONE] },
      { type: "counts", sessions: [counts, { ...counts, id: "x" }] },
    );
    expect(state.sessions).toEqual([{ ...ONE, ...counts }]);
  });

  it("loses what has ended", () => {
    expect(ids(told({ type: "sessions", sessions: [ONE, TWO] }, { type: "ended", ids: ["two", "unknown"] }))).toEqual([
      "one",
    ]);
  });

  it("does not change by what a later edge may say", () => {
    const state = told({ type: "sessions", sessions: [ONE] }, { type: "alive" });
    expect(withRecord(state, { type: "weather" } as unknown as LiveRecord)).toBe(state);
  });
});

describe("a session", () => {
  const at = Date.parse("2026-11-27T08:05:00.000Z");

  it.each([
    ["a moment ago", counts.lastUsedAt, 59_999, undefined],
    ["a minute ago", counts.lastUsedAt, 60_000, 60_000],
    ["nobody knows when", null, 3_600_000, undefined],
  ])("that was used %s", (_, lastUsedAt, later, idle) => {
    expect(idleMs({ lastUsedAt }, at + later)).toBe(idle);
  });
});
