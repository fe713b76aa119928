/**
 * docs/MONITORING.md: its queries run, its log table is the code's, and its alerts match events that exist.
 */
import { globSync, readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { LOG_EVENTS, type LogEvent } from "../../common/log-events.ts";
import { fencedBlocks } from "../support/markdown.ts";

const text = readFileSync("docs/MONITORING.md", "utf8");

/** Everything that runs inside the two Workers. */
const SOURCES = globSync(
  ["worker", "durable", "contract", "audit", "kubernetes", "common"].map((dir) => `${dir}/**/*.ts`),
);

/** The one place that may write to the console. */
const LOGGER = "common/log.ts";
const EVENTS = "common/log-events.ts";

describe("the queries in docs/MONITORING.md", () => {
  it("find the sessions that alerts are for", () => {
    const database = new DatabaseSync(":memory:");
    for (const file of globSync("migrations/*.sql").sort()) database.exec(readFileSync(file, "utf8"));
    const add = database.prepare(
      "INSERT INTO events (session_id, seq, at, type, data, prev_hash, hash) VALUES (?, ?, ?, ?, ?, '', '')",
    );
    const now = Date.now();
    const session = (id: string, outcome: string, startedAt: number, endedAt: number) => {
      add.run(id, 0, startedAt, "start", JSON.stringify({ user: "mallory@example.com" }));
      add.run(id, 1, endedAt, "end", JSON.stringify({ outcome }));
    };
    session("cut", "interrupted", now - 3_600_000, now - 60_000);
    session("cut yesterday", "interrupted", now - 90_000_000, now - 80_000_000);
    session("over", "exited", now - 60_000, now - 30_000);
    for (let attempt = 0; attempt < 61; attempt++) session(`no ${attempt}`, "refused", now - attempt, now);
    const queries = fencedBlocks(text)
      .filter(({ info }) => info === "sql")
      .flatMap((block) => block.text.trim().split(/;\s*/))
      .filter(Boolean);
    expect(
      queries.map((query) =>
        database
          .prepare(query)
          .all()
          .map((row) => ({ ...row })),
      ),
    ).toEqual([[{ interrupted: 1 }], [{ user: "mallory@example.com", refused: 61 }]]);
  });
});

describe("the log table in docs/MONITORING.md", () => {
  it("has every line that the Workers write: only common/log.ts writes to the console", () => {
    const calls = SOURCES.filter((file) => file !== LOGGER).flatMap((file) =>
      Array.from(readFileSync(file, "utf8").matchAll(/\bconsole\s*[.[]/g), () => file),
    );
    expect(calls).toEqual([]);
  });

  it("has no event that nothing writes", () => {
    const sources = SOURCES.filter((file) => file !== EVENTS).map((file) => readFileSync(file, "utf8"));
    const unwritten = Object.keys(LOG_EVENTS).filter((event) => !sources.some((text) => text.includes(`"${event}"`)));
    expect(unwritten).toEqual([]);
  });

  it("says which Worker writes an event", () => {
    for (const file of SOURCES) {
      for (const [, event = ""] of readFileSync(file, "utf8").matchAll(/\blogEvent\(\s*"\w+",\s*"(\w+)"/g)) {
        const { worker } = LOG_EVENTS[event as LogEvent];
        const writer = file.startsWith("durable/") ? "objects" : file.startsWith("worker/") ? "edge" : "both";
        expect([writer, "both"], `${file}: ${event}`).toContain(worker);
      }
    }
  });

  it("tells operators what each event means, and what to do", () => {
    for (const [event, { meaning, action }] of Object.entries(LOG_EVENTS)) {
      expect(meaning, event).toMatch(/\.$/);
      expect(action, event).toMatch(/\.$/);
    }
  });
});

describe("the alerts in docs/MONITORING.md", () => {
  it("match on events that exist", () => {
    const alerts = text.slice(text.indexOf("## Alerts"));
    const matched = [...alerts.matchAll(/`event = (\w+)`/g)].map(([, event]) => event);
    expect(matched.length).toBeGreaterThan(4);
    for (const event of matched) expect(Object.keys(LOG_EVENTS)).toContain(event);
  });
});
