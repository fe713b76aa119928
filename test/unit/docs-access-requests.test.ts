/** docs/ACCESS-REQUESTS.md: its queries find how long people waited, and who approved or watched. */
import { globSync, readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { expect, it } from "vitest";
import type { SessionApproved, Thaw } from "../../audit/events.ts";
import { fencedBlocks } from "../support/markdown.ts";

const queries = fencedBlocks(readFileSync("docs/ACCESS-REQUESTS.md", "utf8")).filter(({ info }) => info === "sql");

it("asks the audit log how long sessions waited for an approval, and for somebody who watches", () => {
  const database = new DatabaseSync(":memory:");
  for (const file of globSync("migrations/*.sql").sort()) database.exec(readFileSync(file, "utf8"));
  const add = database.prepare(
    "INSERT INTO events (session_id, seq, at, type, data, prev_hash, hash) VALUES (?, ?, ?, ?, ?, '', '')",
  );
  const start = { user: "alice@example.com", namespace: "prod", pod: "web" };
  const approval: SessionApproved = {
    ...{ access_id: "a", grant: "prod-shell", by: ["bob@example.com", "carol@example.com"], waited_ms: 95_000 },
  };
  add.run("waited", 0, 1, "start", JSON.stringify(start));
  add.run("waited", 1, 95_001, "approval", JSON.stringify(approval));
  add.run("at once", 0, 2, "start", JSON.stringify(start));
  const thaw: Thaw = { user: start.user, session: "waited", by: "auditor@example.com", waited_ms: 42_000 };
  add.run("a thaw", 0, 200_000, "thaw", JSON.stringify(thaw));
  const found = queries.map(({ text }) =>
    database
      .prepare(text)
      .all()
      .map((row) => ({ ...row })),
  );
  const approvedBy = '["bob@example.com","carol@example.com"]';
  expect(found).toEqual([
    [{ ...start, approved_by: approvedBy, seconds: 95 }],
    [{ ...start, at: "1970-01-01 00:03:20", watched_by: "auditor@example.com", seconds: 42 }],
  ]);
});
