import { describe, expect, it } from "vitest";
import { type ChainedEvent, hashEvent } from "../../audit/chain.ts";
import { ChainVerifier, type Verdict } from "../../audit/verify.ts";

type Draft = Pick<ChainedEvent, "session_id" | "seq" | "at" | "type" | "data">;

/** Chains drafts as the object does: within a session, and each start to the same user's start before it. */
function chain(drafts: readonly Draft[]): ChainedEvent[] {
  const lastStart = new Map<string, string>();
  let last = "";
  return drafts.map((draft) => {
    const { user = "", location_hint = "" } = JSON.parse(draft.data) as {
      user?: string;
      location_hint?: string | null;
    };
    const chainOf = `${user} ${location_hint}`;
    const prev_hash = draft.type === "start" ? (lastStart.get(chainOf) ?? "") : last;
    const hash = hashEvent({ ...draft, prev_hash });
    if (draft.type === "start") lastStart.set(chainOf, hash);
    last = hash;
    return { ...draft, prev_hash, hash };
  });
}

function session(id: string, user: string, at: number, locationHint: string | null = null): Draft[] {
  return [
    { session_id: id, seq: 0, at, type: "start", data: JSON.stringify({ user, location_hint: locationHint }) },
    { session_id: id, seq: 1, at: at + 1, type: "connect", data: "{}" },
    { session_id: id, seq: 2, at: at + 2, type: "end", data: '{"outcome":"exited"}' },
  ];
}

const RECORD = chain([
  ...session("a", "alice", 10),
  ...session("b", "bob", 20),
  ...session("c", "alice", 30),
  ...session("d", "alice", 40),
]);

function verify(events: readonly ChainedEvent[]): Verdict {
  const verifier = new ChainVerifier();
  for (const event of events) verifier.add(event);
  return verifier.finish();
}

const without = (id: string, seq?: number) =>
  RECORD.filter((event) => event.session_id !== id || (seq !== undefined && event.seq !== seq));
const changed = (id: string, seq: number, change: Partial<ChainedEvent>) =>
  RECORD.map((event) => (event.session_id === id && event.seq === seq ? { ...event, ...change } : event));

describe("the record's verifier", () => {
  it("finds a whole record whole, and names what has no end", () => {
    expect(verify(RECORD)).toEqual({ sessions: 4, events: 12, open: [], broken: [] });
    expect(verify(without("d", 2))).toMatchObject({ open: ["d"], broken: [] });
    expect(verify([])).toEqual({ sessions: 0, events: 0, open: [], broken: [] });
  });

  it("follows a chain for each place where a user's objects live", () => {
    const events = chain([
      ...session("a", "alice", 10),
      ...session("b", "alice", 20, "weur"),
      ...session("c", "alice", 30),
      ...session("d", "alice", 40, "weur"),
    ]);
    expect(verify(events)).toEqual({ sessions: 4, events: 12, open: [], broken: [] });
    const missing = verify(events.filter(({ session_id }) => session_id !== "b"));
    expect(missing.broken).toMatchObject([{ session_id: "d", seq: 0 }]);
    const moved = events.map((event) => {
      if (event.session_id !== "d" || event.seq !== 0) return event;
      const forged = { ...event, prev_hash: events.find(({ session_id }) => session_id === "c")?.hash ?? "" };
      return { ...forged, hash: hashEvent(forged) };
    });
    expect(verify(moved).broken).toMatchObject([
      { seq: 1 },
      { fault: expect.stringMatching(/another of the user's objects/) },
    ]);
  });

  it.each<[string, readonly ChainedEvent[], string, number, RegExp]>([
    ["data was changed", changed("b", 2, { data: '{"outcome":"refused"}' }), "b", 2, /changed/],
    ["a time was changed", changed("a", 1, { at: 12 }), "a", 1, /changed/],
    ["a start was given to another user", changed("c", 0, { data: '{"user":"bob"}' }), "c", 0, /changed/],
    ["an event is missing", without("c", 1), "c", 2, /event 1 before it is missing/],
    ["a start is missing", without("b", 0), "b", 1, /start is missing/],
    ["a whole session is missing", without("c"), "d", 0, /session of alice before it is missing/],
    ["a session's first is missing", without("a"), "c", 0, /session of alice before it is missing/],
    [
      "an event was changed and hashed anew",
      RECORD.map((event) => {
        if (event.session_id !== "a" || event.seq !== 1) return event;
        const forged = { ...event, data: '{"protocol":"x"}' };
        return { ...forged, hash: hashEvent(forged) };
      }),
      "a",
      2,
      /does not link/,
    ],
    [
      "a session was put in",
      [...RECORD, ...chain(session("z", "alice", 35))],
      "z",
      0,
      /first session of alice, and another does too/,
    ],
    [
      "an event stands after the end",
      (() => {
        const last = RECORD[2] as ChainedEvent;
        const late = { session_id: "a", seq: 3, at: 13, type: "connect" as const, data: "{}", prev_hash: last.hash };
        return [...RECORD.slice(0, 3), { ...late, hash: hashEvent(late) }, ...RECORD.slice(3)];
      })(),
      "a",
      3,
      /after the session's end/,
    ],
  ])("names the first broken link when %s", (_, events, session_id, seq, fault) => {
    const { broken } = verify(events);
    expect(broken[0]).toMatchObject({ session_id, seq, fault: expect.stringMatching(fault) });
  });

  it("keeps the parts of an event apart: moving a character between them changes the hash", () => {
    const base = { session_id: "a", seq: 1, at: 23, type: "end" as const, data: "{}", prev_hash: "x" };
    expect(hashEvent({ ...base, seq: 12, at: 3 })).not.toBe(hashEvent({ ...base, seq: 1, at: 23 }));
    expect(hashEvent({ ...base, prev_hash: "xa", session_id: "" })).not.toBe(hashEvent(base));
  });
});
