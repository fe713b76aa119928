import { describe, expect, it } from "vitest";
import type { LiveQuery, Report } from "../../../contract/directory.ts";
import type { LiveSessionRow } from "../../../contract/session-row.ts";
import { LiveDirectory, MAX_REPORTS_PER_SECOND } from "../../../durable/directory/live-directory.ts";
import { liveRowOf } from "../../support/live-row.ts";
import { Random } from "../../support/random.ts";

const NOW = 1_764_100_000_000;
const SECOND = 1_000;
/** By then every object that is alive has reported. */
const SETTLED = NOW + 61 * SECOND;

interface Told {
  readonly at?: number;
  readonly omitted?: number;
  /** Without their rows. */
  readonly known?: boolean;
}

function reportOf(
  objectId: string,
  rows: readonly LiveSessionRow[],
  { at = NOW, omitted = 0, known }: Told = {},
): Report {
  const sessions = rows.map((row) => {
    const { id, active_at, waits_for, bytes_in, bytes_out, messages_in, messages_out } = row;
    const counts = { active_at, waits_for, bytes_in, bytes_out, messages_in, messages_out };
    return { id, counts, ...(!known && { row }) };
  });
  return { objectId, at, sessions, omitted };
}

const ALL: LiveQuery = { filter: {}, limit: 500 };
const idsOf = (directory: LiveDirectory, now = NOW, query: Partial<LiveQuery> = {}) =>
  directory.list({ ...ALL, ...query }, now).sessions.map(({ id }) => id);

describe("what is live", () => {
  const rows = [
    liveRowOf("a", { started_at: 3, namespace: "prod", kind: "attach" }),
    liveRowOf("b", { started_at: 1, pod: "db" }),
    liveRowOf("c", { started_at: 2, user: "bob@example.com" }),
    liveRowOf("d", { started_at: 2 }),
  ];

  function told(): LiveDirectory {
    const directory = new LiveDirectory(NOW);
    directory.report(reportOf("one", rows.slice(0, 2)), NOW);
    directory.report(reportOf("two", rows.slice(2)), NOW);
    return directory;
  }

  it("is listed newest first, by page, each once", () => {
    const directory = told();
    expect(idsOf(directory)).toEqual(["a", "d", "c", "b"]);
    expect(idsOf(directory, NOW, { limit: 2 })).toEqual(["a", "d"]);
    expect(idsOf(directory, NOW, { limit: 2, after: { startedAt: 2, id: "d" } })).toEqual(["c", "b"]);
  });

  it.each<[LiveQuery["filter"], string[]]>([
    [{ user: "bob@example.com" }, ["c"]],
    [{ namespace: "prod" }, ["a"]],
    [{ kind: "attach" }, ["a"]],
    [{ pod: "db" }, ["b"]],
    [{ since: 2, until: 3 }, ["d", "c"]],
    [{ user: "alice@example.com", namespace: "demo" }, ["d", "b"]],
    [{ user: "carol@example.com" }, []],
  ])("is filtered as D1 filters: %o", (filter, ids) => {
    expect(idsOf(told(), NOW, { filter })).toEqual(ids);
  });

  it("has the counts of the last report, and the row of the first", () => {
    const directory = told();
    const later = liveRowOf("b", { active_at: NOW + 5, bytes_in: 7, messages_out: 9 });
    directory.report(reportOf("one", [later], { at: NOW + 1, known: true }), NOW);
    expect(directory.list({ ...ALL, filter: { pod: "db" } }, NOW).sessions).toEqual([
      { ...rows[1], active_at: NOW + 5, bytes_in: 7, messages_out: 9 },
    ]);
    // What a report no longer has is over.
    expect(idsOf(directory)).toEqual(["d", "c", "b"]);
  });
});

describe("a report", () => {
  it("of a session whose row is not known is asked for it: after a restart, too", () => {
    const directory = new LiveDirectory(NOW);
    const [known, unknown] = [liveRowOf("known"), liveRowOf("unknown")];
    directory.report(reportOf("one", [known]), NOW);
    const report = reportOf("one", [known, unknown], { at: NOW + 1, known: true });
    expect(directory.report(report, NOW).missing).toEqual(["unknown"]);
    expect(idsOf(directory)).toEqual(["known"]);
    expect(new LiveDirectory(NOW).report(report, NOW).missing).toEqual(["known", "unknown"]);
  });

  it("that comes late changes nothing, also after all sessions have ended", () => {
    const directory = new LiveDirectory(NOW);
    const late = reportOf("one", [liveRowOf("over")], { at: NOW });
    directory.report(reportOf("one", [], { at: NOW + 1 }), NOW);
    directory.report(late, NOW);
    expect(idsOf(directory)).toEqual([]);
    directory.report(reportOf("one", [liveRowOf("open")], { at: NOW + 2 }), NOW);
    directory.report(late, NOW);
    expect(idsOf(directory)).toEqual(["open"]);
  });

  it("is asked for less often, the more objects report", () => {
    const directory = new LiveDirectory(NOW);
    const intervals = Array.from(
      { length: 3_000 },
      (_, index) => directory.report(reportOf(`object-${index}`, []), NOW).nextInMs,
    );
    expect([intervals[0], intervals[500]]).toEqual([5_000, 5_000]);
    const last = intervals.at(-1) ?? 0;
    expect((3_000 / last) * 1_000).toBeLessThanOrEqual(MAX_REPORTS_PER_SECOND * 1.01);
    expect(last).toBeLessThanOrEqual(60_000);
  });
});

describe("an object that says nothing more", () => {
  it("is forgotten after its lease, and one that reports is not", () => {
    const directory = new LiveDirectory(NOW);
    directory.report(reportOf("crashed", [liveRowOf("lost")]), NOW);
    directory.report(reportOf("alive", [liveRowOf("open")]), NOW);
    directory.report(reportOf("alive", [liveRowOf("open")], { at: NOW + 1 }), NOW + 50 * SECOND);
    // Longer than the 30 s after which a crashed object's own alarm wakes it.
    expect(idsOf(directory, NOW + 59 * SECOND)).toContain("lost");
    expect(idsOf(directory, SETTLED)).toEqual(["open"]);
    expect(directory.load).toMatchObject({ objects: 1, sessions: 1 });
    expect(idsOf(directory, SETTLED + 60 * SECOND)).toEqual([]);
    expect(directory.load).toEqual({ objects: 0, sessions: 0, characters: 0 });
  });

  it("may come back with a clock that is behind, once its lease is over", () => {
    const directory = new LiveDirectory(NOW);
    directory.report(reportOf("one", [liveRowOf("before")], { at: NOW + 1_000_000 }), NOW);
    const report = reportOf("one", [liveRowOf("after")], { at: NOW });
    directory.report(report, NOW + SECOND);
    expect(idsOf(directory)).toEqual(["before"]);
    directory.report(report, SETTLED);
    expect(idsOf(directory, SETTLED)).toEqual(["after"]);
  });
});

describe("a list", () => {
  const isComplete = (directory: LiveDirectory, now: number) => directory.list(ALL, now).isComplete;

  it("is not called complete before every object has had the time to report", () => {
    const directory = new LiveDirectory(NOW);
    expect([isComplete(directory, NOW), isComplete(directory, SETTLED)]).toEqual([false, true]);
  });

  it("is not called complete while a row is missing, or sessions were left out", () => {
    const directory = new LiveDirectory(NOW);
    const open = liveRowOf("open");
    directory.report(reportOf("one", [open], { known: true }), SETTLED);
    expect(isComplete(directory, SETTLED)).toBe(false);
    directory.report(reportOf("one", [open], { at: NOW + 1, omitted: 1 }), SETTLED);
    expect(isComplete(directory, SETTLED)).toBe(false);
    directory.report(reportOf("one", [open], { at: NOW + 2 }), SETTLED);
    expect(isComplete(directory, SETTLED)).toBe(true);
  });
});

describe("the directory is bounded", () => {
  const bounds = { objects: 20, sessions: 30, characters: 20_000 };

  it("and says so, asks for no row that it could not keep, and has room again later", () => {
    const directory = new LiveDirectory(NOW, { ...bounds, sessions: 2 });
    const rows = ["a", "b", "c"].map((id) => liveRowOf(id));
    directory.report(reportOf("one", rows), SETTLED);
    expect(directory.list(ALL, SETTLED)).toMatchObject({ sessions: { length: 2 }, isComplete: false });
    const others = [liveRowOf("d")];
    expect(directory.report(reportOf("two", others, { known: true }), SETTLED).missing).toEqual([]);
    directory.report(reportOf("one", [], { at: NOW + 1 }), SETTLED);
    expect(directory.report(reportOf("two", others, { at: NOW + 1, known: true }), SETTLED).missing).toEqual(["d"]);
  });

  it("with any reports in any order", () => {
    const random = new Random(7);
    const pick = (below: number) => random.below(below);
    const directory = new LiveDirectory(NOW, bounds);
    let now = NOW;
    for (let count = 0; count < 20_000; count++) {
      now += pick(2_000);
      const rows = Array.from({ length: pick(6) }, (_, index) =>
        liveRowOf(`${pick(40)}-${index}`, { command: ["x".repeat(pick(1_000))] }),
      );
      const told = { at: NOW + pick(1_000_000), omitted: pick(2), known: pick(3) === 0 };
      directory.report(reportOf(`object-${pick(60)}`, rows, told), now);
      const { objects, sessions, characters } = directory.load;
      expect(objects).toBeLessThanOrEqual(bounds.objects);
      expect(sessions).toBeLessThanOrEqual(bounds.sessions);
      // The last row that is let in may exceed it.
      expect(characters).toBeLessThanOrEqual(bounds.characters + 2_500);
    }
    // Everything is let go of, whatever came.
    expect(idsOf(directory, now + 3_600_000)).toEqual([]);
    expect(directory.load).toEqual({ objects: 0, sessions: 0, characters: 0 });
    expect(directory.list(ALL, now + 3_600_000).isComplete).toBe(true);
  });
});
