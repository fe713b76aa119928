/**
 * docs/RUNBOOK.md: its queries run on the schema, and every refusal and log event has an entry or an advice.
 */
import { globSync, readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { LOG_EVENTS } from "../../common/log-events.ts";
import { DENIALS } from "../../worker/denials.ts";
import { fencedBlocks } from "../support/markdown.ts";

const text = readFileSync("docs/RUNBOOK.md", "utf8");

describe("docs/RUNBOOK.md", () => {
  it("asks the database what the schema has", () => {
    const database = new DatabaseSync(":memory:");
    for (const file of globSync("migrations/*.sql").sort()) database.exec(readFileSync(file, "utf8"));
    const queries = fencedBlocks(text)
      .filter(({ info }) => info === "sql")
      .flatMap((block) => block.text.split(";"))
      .filter((query) => query.trim() !== "");
    expect(queries.length).toBeGreaterThan(3);
    for (const query of queries) expect(() => database.prepare(query).all(), query).not.toThrow();
  });

  it("gives each entry a symptom and something to do", () => {
    const entries = text
      .split(/^## /m)
      .slice(1)
      .filter((entry) => !entry.startsWith("Before you start"));
    expect(entries.length).toBeGreaterThan(8);
    for (const entry of entries) expect(entry, entry.slice(0, 40)).toMatch(/\*\*Do\*\*|\| you find \| do \|/);
  });

  it("names log events and codes that exist", () => {
    const known = new Set([...Object.keys(LOG_EVENTS), ...Object.keys(DENIALS)]);
    for (const [, events = ""] of text.matchAll(/`event = (\w+)`/g)) expect([...known]).toContain(events);
    for (const [, codes = ""] of text.matchAll(/`refusal` `(\w+)`/g)) expect([...known]).toContain(codes);
  });
});
