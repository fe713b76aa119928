/** The audit database, deployed or local: its schema, its triggers, and sessions that never ended. */
import { DatabaseSync } from "node:sqlite";
import { MAX_UNSEALED_DAYS } from "../../../audit/seal/months.ts";
import type { Migration } from "../../../dev/stack/migrations.ts";
import { appliedMigrations, compareMigrations } from "../../deploy/migrations.ts";
import { normalizeSql } from "../../deploy/normalize-sql.ts";
import { type Check, type Finding, failure, passed, type Query, skipped, warning } from "../check.ts";

const TRIGGERS = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'";

/** A check that reads the audit database. */
export function databaseCheck(id: string, query: Query | undefined, run: (query: Query) => Promise<Finding>): Check {
  return {
    id,
    run: async () =>
      query ? run(query) : skipped("D1 cannot be read: set CLOUDFLARE_API_TOKEN to a token that reads D1"),
  };
}

/** The database has this checkout's schema. */
export function migrationsCheck(migrations: readonly Migration[], query: Query | undefined): Check {
  return databaseCheck("d1-migrations", query, async (ask) => {
    const applied = await appliedMigrations(ask);
    const { pending, unknown } = compareMigrations(
      migrations.map(({ name }) => name),
      applied,
    );
    if (pending.length > 0) return failure(`not applied: ${pending.join(", ")}`, "npx sallyport deploy applies them");
    if (unknown.length > 0) {
      return warning(`newer than this checkout: ${unknown.join(", ")}`, "check out the version that is deployed");
    }
    return passed(`all ${applied.length} migrations are applied`);
  });
}

/** The triggers that make the audit log append-only exist, as the migrations define them. */
export function triggersCheck(migrations: readonly Migration[], query: Query | undefined): Check {
  const expected = triggersAfter(migrations);
  return databaseCheck("d1-append-only", query, async (ask) => {
    const rows = await ask<{ name: string; sql: string }>(TRIGGERS);
    const found = new Map(rows.map(({ name, sql }) => [name, normalizeSql(sql)]));
    const missing = [...expected.keys()].filter((name) => !found.has(name));
    const changed = [...expected]
      .filter(([name, sql]) => found.has(name) && found.get(name) !== sql)
      .map(([name]) => name);
    const advice =
      "somebody changed the schema: find out who (Cloudflare's audit log), run npx sallyport audit-verify --remote, then " +
      "create the trigger again from migrations/";
    if (missing.length > 0) return failure(`rows can be changed: no trigger ${missing.join(", ")}`, advice);
    if (changed.length > 0) return failure(`triggers differ from the migrations: ${changed.join(", ")}`, advice);
    return passed(`${expected.size} triggers refuse changes of the audit log`);
  });
}

/**
 * The triggers after all migrations, as SQLite itself has them: a migration may rename a table or drop a
 * trigger.
 *
 * @returns normalized SQL by the trigger's name
 */
function triggersAfter(migrations: readonly Migration[]): ReadonlyMap<string, string> {
  const database = new DatabaseSync(":memory:");
  try {
    for (const { statements } of migrations) for (const statement of statements) database.exec(statement);
    const rows = database.prepare(TRIGGERS).all() as { name: string; sql: string }[];
    return new Map(rows.map(({ name, sql }) => [name, normalizeSql(sql)]));
  } finally {
    database.close();
  }
}

/** The sealing works: no row waits for longer than a month. */
export function sealsCheck(query: Query | undefined, now: () => number): Check {
  return databaseCheck("seals", query, async (ask) => {
    const [newest] = await ask<{ month: string; last_row: number }>(
      "SELECT month, last_row FROM seals ORDER BY first_row DESC LIMIT 1",
    );
    const [oldest] = await ask<{ at: number }>(
      `SELECT at FROM events WHERE row_number > ${newest?.last_row ?? 0} ORDER BY row_number LIMIT 1`,
    );
    const days = oldest ? (now() - oldest.at) / 86_400_000 : 0;
    const sealed = newest ? `sealed up to ${newest.month}, row ${newest.last_row}` : "nothing is sealed yet";
    if (days > MAX_UNSEALED_DAYS) {
      return failure(
        `rows are ${Math.floor(days)} days old and not sealed: ${sealed}`,
        "look for seal_failed in the edge's log (docs/RUNBOOK.md), and check that its cron trigger runs",
      );
    }
    return passed(sealed);
  });
}

/** After an object has stopped, an alarm closes its sessions within 30 s. The rest is for an outage of D1. */
const SLACK_MS = 5 * 60_000;

interface LiveSession {
  readonly id: string;
  readonly user: string;
  readonly started_at: number;
}

/**
 * No session is open for longer than the configuration allows.
 *
 * @param maxSeconds the longest that it allows anybody
 */
export function sessionsCheck(maxSeconds: number, query: Query | undefined, now: () => number): Check {
  return databaseCheck("sessions", query, async (ask) => {
    const live = await ask<LiveSession>(
      "SELECT id, user, started_at FROM sessions WHERE state = 'live' ORDER BY started_at",
    );
    const oldest = live[0];
    if (!oldest) return passed("no session is open");
    const age = now() - oldest.started_at;
    if (age > maxSeconds * 1000 + SLACK_MS) {
      return failure(
        `session ${oldest.id} of ${oldest.user} has been open for ${hours(age)} h, the limit is ${hours(maxSeconds * 1000)} h`,
        "its object did not close it: GET /-/admin/sessions/ID asks the object, DELETE ends the session",
      );
    }
    return passed(`${live.length} sessions are open, the oldest for ${hours(age)} h`);
  });
}

const hours = (ms: number) => (ms / 3_600_000).toFixed(1);
