/** The console's check of a session's hash chain, of events as the log's own code writes them. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { hashEvent, hashedText } from "../../../audit/chain.ts";
import type { EventType } from "../../../audit/events.ts";
import {
  type Digest,
  type ShownEvent,
  verifyEvents,
  verifyNeighbours,
  webCryptoDigest,
} from "../../../console/src/chain/verify.ts";

const digest: Digest = async (text) => createHash("sha256").update(text).digest("hex");
const SESSION = "s1";
const NOW = Date.UTC(2026, 10, 27, 8);

/** Events as the object writes them and the API shows them. */
function chained(...bodies: (readonly [EventType, object])[]): ShownEvent[] {
  let prevHash = "a".repeat(64);
  return bodies.map(([type, body], seq) => {
    const event = { session_id: SESSION, seq, at: NOW + seq, type, data: JSON.stringify(body), prev_hash: prevHash };
    const hash = hashEvent(event);
    const shown = {
      ...{ seq, type, data: body, prevHash, hash },
      at: new Date(event.at).toISOString(),
      raw: hashedText(event),
    };
    prevHash = hash;
    return shown;
  });
}

const EVENTS = chained(
  ["start", { user: "alice@example.com", command: ["sh", "-c", "echo \u2028 caf\u00e9"], b: 1, a: { d: 1, c: 2 } }],
  ["connect", { protocol: "v5.channel.k8s.io" }],
  ["end", { outcome: "exited", exit_code: 0 }],
);

const changed = (seq: number, change: Partial<ShownEvent>) =>
  EVENTS.map((event) => (event.seq === seq ? { ...event, ...change } : event));
const faultsOf = async (events: readonly ShownEvent[], id = SESSION) =>
  (await verifyEvents(id, events, digest)).map(({ seq, message }) => `${seq}: ${message}`);

describe("a session's part of the hash chain", () => {
  it("holds as the log wrote it, also where keys come in another order", async () => {
    expect(await faultsOf(EVENTS)).toEqual([]);
    const reordered = {
      a: { c: 2, d: 1 },
      command: ["sh", "-c", "echo \u2028 caf\u00e9"],
      b: 1,
      user: "alice@example.com",
    };
    expect(await faultsOf(changed(0, { data: reordered }))).toEqual([]);
  });

  it.each<[string, readonly ShownEvent[], RegExp]>([
    ["data that is shown", changed(2, { data: { outcome: "exited", exit_code: 1 } }), /^2: what is shown/],
    ["the time that is shown", changed(1, { at: new Date(NOW + 60_000).toISOString() }), /^1: what is shown/],
    ["the type that is shown", changed(1, { type: "forward" }), /^1: what is shown/],
    ["the hashed text", changed(1, { raw: EVENTS[1]?.raw.replace("v5", "v4") ?? "" }), /^1: its text is not/],
    ["the hash", changed(1, { hash: "b".repeat(64) }), /^1: its text is not/],
    ["an event that is gone", EVENTS.filter(({ seq }) => seq !== 1), /^2: an event is missing/],
    ["the first event that is gone", EVENTS.slice(1), /^1: an event is missing/],
    ["text that is no JSON", changed(1, { raw: "[" }), /^1: its text is not/],
  ])("names %s", async (_, events, first) => {
    expect((await faultsOf(events))[0]).toMatch(first);
  });

  it("names the event that follows one which was rewritten together with its hash", async () => {
    const [start, , end] = EVENTS;
    const rewritten = chained(["start", { user: "bob@example.com" }], ["connect", {}])[1];
    if (!start || !end || !rewritten) throw new Error("three events");
    const faults = await faultsOf([start, rewritten, end]);
    expect(faults).toContain("1: it does not follow the event before it");
    expect(faults).toContain("2: it does not follow the event before it");
  });

  it("does not take the events of another session", async () => {
    expect(await faultsOf(EVENTS, "s2")).toHaveLength(EVENTS.length);
  });

  it("hashes as the log does, by WebCrypto", async () => {
    expect(await webCryptoDigest("caf\u00e9 \u{1f600}")).toBe(await digest("caf\u00e9 \u{1f600}"));
  });
});

describe("the entries beside a session", () => {
  const [before, own, after] = EVENTS;
  if (!before || !own || !after) throw new Error("three events");
  const at = { events: [own], previous: before, next: after, isFirst: false };
  const links = (change: object = {}) => verifyNeighbours({ ...at, ...change }, digest);

  it("are chained to it", async () => {
    expect(await links()).toEqual({ previous: "holds", next: "holds" });
  });

  it.each<[string, object, object]>([
    ["another entry before it", { previous: after }, { previous: "broken", next: "holds" }],
    [
      "an entry after it that skips it",
      { next: { ...after, prevHash: before.hash } },
      { previous: "holds", next: "broken" },
    ],
    [
      "a changed entry before it",
      { previous: { ...before, raw: `${before.raw} ` } },
      { previous: "broken", next: "holds" },
    ],
    [
      "a hash that is not in the hashed text",
      { events: [{ ...own, prevHash: "c".repeat(64) }] },
      { previous: "broken", next: "broken" },
    ],
    ["nothing near it", { previous: null, next: null }, { previous: "unknown", next: "unknown" }],
    [
      "a claim to be the first that its hash does not make",
      { previous: null, isFirst: true },
      { previous: "unknown", next: "holds" },
    ],
    [
      "the first of all",
      { events: [{ ...own, prevHash: "" }], previous: null, next: null, isFirst: true },
      { previous: "edge", next: "unknown" },
    ],
    ["no event at all", { events: [] }, { previous: "unknown", next: "unknown" }],
  ])("may be %s", async (_, change, expected) => {
    expect(await links(change)).toEqual(expected);
  });
});
