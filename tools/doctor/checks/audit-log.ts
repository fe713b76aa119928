/** The state of the audit database, deployed or local. */
import type { Migration } from "../../../dev/stack/migrations.ts";
import type { ConfigInput } from "../../../worker/config/schema.ts";
import { limitsSchema } from "../../../worker/config/shared-fields.ts";
import { appliedMigrations, compareMigrations } from "../../deploy/migrations.ts";
import { type Check, type Finding, fail, ok, skipped, warn } from "../check.ts";
import type { Query } from "./outside.ts";

const NO_DATABASE = "D1 cannot be read: set CLOUDFLARE_API_TOKEN to a token that reads D1";

function record(id: string, query: Query | undefined, run: (query: Query) => Promise<Finding>): Check {
  return { id, run: async () => (query ? run(query) : skipped(NO_DATABASE)) };
}

/** The schema is this checkout's. */
export function migrationsCheck(migrations: readonly Migration[], query: Query | undefined): Check {
  return record("d1-migrations", query, async (ask) => {
    const applied = await appliedMigrations(ask);
    const { pending, unknown } = compareMigrations(
      migrations.map(({ name }) => name),
      applied,
    );
    if (pending.length > 0) return fail(`not applied: ${pending.join(", ")}`, "npm run deploy applies them");
    if (unknown.length > 0) {
      return warn(`newer than this checkout: ${unknown.join(", ")}`, "check out the version that is deployed");
    }
    return ok(`all ${applied.length} migrations are applied`);
  });
}

/** The triggers that keep the record from being changed are there, and say what they said. */
export function triggersCheck(migrations: readonly Migration[], query: Query | undefined): Check {
  const wanted = new Map(
    migrations
      .flatMap(({ statements }) => statements)
      .flatMap((statement) => {
        const [sql = "", name] = /CREATE TRIGGER\s+[`"]?(\w+)[\s\S]*/.exec(statement) ?? [];
        return name === undefined ? [] : [[name, squeeze(sql)] as const];
      }),
  );
  return record("d1-append-only", query, async (ask) => {
    const rows = await ask<{ name: string; sql: string }>("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'");
    const found = new Map(rows.map(({ name, sql }) => [name, squeeze(sql)]));
    const missing = [...wanted.keys()].filter((name) => !found.has(name));
    const changed = [...wanted]
      .filter(([name, sql]) => found.has(name) && found.get(name) !== sql)
      .map(([name]) => name);
    const advice =
      'somebody changed the schema: find out who (Cloudflare\'s audit log), run "npm run audit:verify", then make the trigger again ' +
      "from migrations/";
    if (missing.length > 0) return fail(`the record can be rewritten: no trigger ${missing.join(", ")}`, advice);
    if (changed.length > 0) return fail(`triggers that are not as they were made: ${changed.join(", ")}`, advice);
    return ok(`${wanted.size} triggers refuse changes of the record`);
  });
}

function squeeze(sql: string): string {
  return sql.replaceAll(/\s+/g, " ").replace(/;\s*$/, "").trim();
}

/** Of an object that stops, an alarm closes the sessions within 30 s; D1 may be away for a while. */
const SLACK_MS = 5 * 60_000;

interface Live {
  readonly id: string;
  readonly user: string;
  readonly started_at: number;
}

/**
 * No session is open for longer than any may be.
 *
 * @param longestSeconds that the configuration allows anybody
 */
export function sessionsCheck(longestSeconds: number, query: Query | undefined, now: () => number): Check {
  return record("sessions", query, async (ask) => {
    const live = await ask<Live>("SELECT id, user, started_at FROM sessions WHERE state = 'live' ORDER BY started_at");
    const oldest = live[0];
    if (!oldest) return ok("none is open");
    const age = now() - oldest.started_at;
    if (age > longestSeconds * 1000 + SLACK_MS) {
      return fail(
        `session ${oldest.id} of ${oldest.user} is open for ${hours(age)} h, and may be for ${hours(longestSeconds * 1000)} h`,
        "its object did not close it: GET /-/admin/sessions/ID asks it, DELETE ends it",
      );
    }
    return ok(`${live.length} open, the oldest for ${hours(age)} h`);
  });
}

const hours = (ms: number) => (ms / 3_600_000).toFixed(1);

/** The longest session that a configuration document allows anybody: a rule may allow more than the document's own limit. */
export function longestOpenSession(document: Pick<ConfigInput, "limits">): number {
  let longest = document.limits?.maxDurationSeconds ?? limitsSchema.parse({}).maxDurationSeconds;
  JSON.stringify(document, (key, value: unknown) => {
    if (key === "maxDurationSeconds" && typeof value === "number") longest = Math.max(longest, value);
    return value;
  });
  return longest;
}
