import { env } from "cloudflare:workers";

interface Trigger {
  readonly name: string;
  readonly sql: string;
}

/**
 * Lets the triggers of seals believe that it is another time: they read SQLite's clock, which nobody can set.
 * The triggers are otherwise those of the migrations.
 *
 * @param now milliseconds since the epoch
 */
export function setDatabaseClock(now: number): Promise<void> {
  const clock = `unixepoch(${Math.floor(now / 1_000)}, 'unixepoch')`;
  return replaceTriggers((sql) => sql.replaceAll(/unixepoch\((\d+, 'unixepoch')?\)/g, clock));
}

/** Empties the audit log and the bucket of recordings, as nobody can who keeps the triggers. */
export async function emptyAuditLog(): Promise<void> {
  const tables = ["events", "seals", "seal_parts", "seal_removals"];
  await replaceTriggers(
    (sql) => sql,
    tables.map((table) => `DELETE FROM ${table}`),
  );
  for (;;) {
    const { objects } = await env.RECORDINGS.list();
    if (objects.length === 0) return;
    await env.RECORDINGS.delete(objects.map(({ key }) => key));
  }
}

/** Runs statements without any trigger, as somebody who may change the schema can. */
export function withoutTriggers(...statements: readonly string[]): Promise<void> {
  return replaceTriggers((sql) => sql, statements);
}

async function replaceTriggers(change: (sql: string) => string, between: readonly string[] = []): Promise<void> {
  const triggers = await env.AUDIT_DB.prepare(
    "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'",
  ).all<Trigger>();
  await env.AUDIT_DB.batch(
    [
      ...triggers.results.map(({ name }) => `DROP TRIGGER ${name}`),
      ...between,
      ...triggers.results.map(({ sql }) => change(sql)),
    ].map((sql) => env.AUDIT_DB.prepare(sql)),
  );
}
