import { abortAllDurableObjects, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { recordingKey } from "../../contract/recording.ts";
import { callUserObject } from "../../contract/user-object.ts";
import { Spool } from "../../durable/recording/spool.ts";
import { applyMigrations, type Migration, type SqliteStorage } from "../../durable/storage/migrations.ts";
import { SCHEMA } from "../../durable/storage/schema.ts";
import { SessionJournal } from "../../durable/storage/session-journal.ts";
import { UserLocks } from "../../durable/storage/user-locks.ts";
import { eventually } from "../support/eventually.ts";
import { ended } from "./audit-rows.ts";
import { Client } from "./client.ts";
import { someone, upgrade } from "./people.ts";
import { Puppet } from "./puppet.ts";
import { expectStatus } from "./statuses.ts";

const fixtures = import.meta.glob<string>("../vectors/object-schema/*.sql", {
  query: "?raw",
  import: "default",
  eager: true,
});
const fixtureOf = (version: number) => fixtures[`../vectors/object-schema/${version}.sql`] ?? "";
const VERSION_1 = fixtureOf(1);
const RELEASED = SCHEMA.map(({ version }) => version);
const DOCUMENT = Object.values(
  import.meta.glob<string>("../../docs/STORAGE.md", { query: "?raw", import: "default", eager: true }),
)[0];
const NOW = 1_764_100_000_000;

/** What a later issue may do: a column, a table, an index, and a table that is built anew. */
const NEXT: Migration = {
  version: SCHEMA.length + 1,
  statements: `
    ALTER TABLE open_sessions ADD COLUMN labels TEXT NOT NULL DEFAULT '[]';
    CREATE TABLE watchers (session_id TEXT NOT NULL, watcher TEXT NOT NULL, PRIMARY KEY (session_id, watcher));
    CREATE INDEX outbox_by_session ON outbox (session_id);
    CREATE TABLE new_recording_chunks (position INTEGER PRIMARY KEY, written_at INTEGER NOT NULL, bytes BLOB NOT NULL,
      is_compressed INTEGER NOT NULL DEFAULT 0);
    INSERT INTO new_recording_chunks (position, written_at, bytes)
      SELECT position, written_at, bytes FROM recording_chunks;
    DROP TABLE recording_chunks;
    ALTER TABLE new_recording_chunks RENAME TO recording_chunks;`,
};

/** A stub is of no use after its object was aborted, so each use takes a new one. */
const objectOf = (name: string) => env.USER_SESSIONS.getByName(name);
const newName = () => `storage-${crypto.randomUUID()}`;

/** Runs with the empty database of an object that nobody else uses. */
function withEmptyDatabase<R>(work: (storage: DurableObjectStorage) => R | Promise<R>): Promise<R> {
  return runInDurableObject(objectOf(newName()), async (_, { storage }) => {
    await storage.deleteAll();
    return work(storage);
  });
}

/** Tables and indexes, without the whitespace of the statements that made them. */
function schemaOf({ sql }: SqliteStorage): string[] {
  return sql
    .exec<{ sql: string }>("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE '\\_%' ESCAPE '\\'")
    .toArray()
    .map((row) =>
      row.sql
        .replace(/IF NOT EXISTS /, "")
        .replace(/\s+/g, " ")
        .replaceAll('"', ""),
    )
    .sort();
}

function versionOf({ sql }: SqliteStorage): number {
  return sql.exec<{ version: number }>("SELECT max(version) AS version FROM schema_migrations").one().version;
}

/** Everything that version 1 of the fixture holds, by the classes that use it. */
function contentsOf({ sql }: SqliteStorage) {
  const journal = new SessionJournal(sql);
  const locks = new UserLocks(sql);
  const spool = new Spool(sql);
  const recordings = spool.open();
  return {
    open: journal.openSessions(),
    queued: journal.queued(10),
    lock: locks.lock,
    reason: locks.reason,
    recordings,
    cast: recordings.map((recording) => new TextDecoder().decode(spool.bytes(recording, 0, 1_000))),
    bytesHeld: spool.bytesHeld,
  };
}

const CAST = '{"version":2,"width":80,"height":24}\n[0.5,"o","hello"]\n';

afterEach(() => void vi.restoreAllMocks());

describe("the schema of a user's object", () => {
  it("is numbered from 1 without a gap", () => {
    expect(SCHEMA.map(({ version }) => version)).toEqual(SCHEMA.map((_, index) => index + 1));
  });

  it.each(RELEASED)("of version %i is the one of its fixture, for ever", (version) =>
    withEmptyDatabase(async (storage) => {
      applyMigrations(storage, SCHEMA.slice(0, version), NOW);
      const made = schemaOf(storage);
      await storage.deleteAll();
      storage.sql.exec(fixtureOf(version));
      expect(made).toEqual(schemaOf(storage));
    }),
  );

  it.each(RELEASED)("is the same in a new database and in one that was migrated from version %i", (version) =>
    withEmptyDatabase(async (storage) => {
      storage.sql.exec(fixtureOf(version));
      expect(applyMigrations(storage, SCHEMA, NOW)).toEqual({ ok: true, value: SCHEMA.length });
      const migrated = schemaOf(storage);
      await storage.deleteAll();
      applyMigrations(storage, SCHEMA, NOW);
      expect(migrated).toEqual(schemaOf(storage));
    }),
  );

  it("is described column by column in docs/STORAGE.md", () =>
    withEmptyDatabase((storage) => {
      applyMigrations(storage, SCHEMA, NOW);
      const columns = storage.sql
        .exec<{ table: string; column: string }>(
          `SELECT m.name AS "table", c.name AS "column" FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c
           WHERE m.type = 'table' AND m.name NOT LIKE '\\_%' ESCAPE '\\' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'`,
        )
        .toArray();
      const described = describedColumns(DOCUMENT ?? "");
      expect(described.length).toBe(columns.length);
      expect(new Set(described)).toEqual(new Set(columns.map(({ table, column }) => `${table}.${column}`)));
    }));
});

/** `## \`table\`` and the rows `| \`column\` |` below it. */
function describedColumns(document: string): string[] {
  let table = "";
  const columns: string[] = [];
  for (const line of document.split("\n")) {
    const heading = /^## `(\w+)`/.exec(line)?.[1];
    if (heading) table = heading;
    else if (line.startsWith("#")) table = "";
    const column = /^\| `(\w+)` \|/.exec(line)?.[1];
    if (table && column) columns.push(`${table}.${column}`);
  }
  return columns;
}

describe("a migration", () => {
  const current = SCHEMA.length;
  const next = [...SCHEMA, NEXT];
  const migrated = { ok: true, value: NEXT.version };

  it.each(RELEASED)("keeps open sessions, events, locks and recordings of version %i", (version) =>
    withEmptyDatabase((storage) => {
      storage.sql.exec(fixtureOf(version));
      applyMigrations(storage, SCHEMA, NOW);
      const before = contentsOf(storage);
      expect(before).toMatchObject({
        open: [{ sessionId: "live-session", counts: { bytes_in: 11 } }],
        queued: [{ row_number: 41 }, { row_number: 42 }],
        lock: { by: "admin@example.com", reason: "stolen laptop", until: null },
        reason: { reason: "ticket 7" },
        recordings: [{ sessionId: "live-session", number: 5 }],
        cast: [CAST],
      });
      expect(applyMigrations(storage, next, NOW + 1)).toEqual(migrated);
      expect(contentsOf(storage)).toEqual(before);
      const applied = storage.sql.exec("SELECT version, applied_at FROM schema_migrations ORDER BY version").toArray();
      expect(applied).toEqual([
        ...RELEASED.map((released) => ({
          version: released,
          applied_at: released <= version ? 1_764_000_000_000 : NOW,
        })),
        { version: NEXT.version, applied_at: NOW + 1 },
      ]);
      expect(storage.sql.exec("SELECT labels FROM open_sessions").one()).toEqual({ labels: "[]" });
    }),
  );

  it("happens once", () =>
    withEmptyDatabase((storage) => {
      storage.sql.exec(VERSION_1);
      for (let i = 0; i < 3; i++) expect(applyMigrations(storage, next, NOW + i)).toEqual(migrated);
      expect(storage.sql.exec("SELECT count(*) AS n FROM schema_migrations").one()).toEqual({ n: next.length });
    }));

  it("goes through every version from an empty database", () =>
    withEmptyDatabase((storage) => {
      expect(applyMigrations(storage, next, NOW)).toEqual(migrated);
      expect(versionOf(storage)).toBe(NEXT.version);
    }));

  const statements = NEXT.statements.split(/(?<=;)\n/);

  it.each(statements.map((_, index) => index))("that stops after statement %i leaves the version before", (index) =>
    withEmptyDatabase((storage) => {
      storage.sql.exec(fixtureOf(current));
      const [schema, contents] = [schemaOf(storage), contentsOf(storage)];
      const broken = `${statements.slice(0, index + 1).join("\n")} SELECT crash();`;
      const stopped = { version: NEXT.version, statements: broken };
      expect(() => applyMigrations(storage, [...SCHEMA, stopped], NOW)).toThrow(/crash/);
      expect([schemaOf(storage), contentsOf(storage), versionOf(storage)]).toEqual([schema, contents, current]);
      expect(applyMigrations(storage, next, NOW)).toEqual(migrated);
      expect(contentsOf(storage)).toEqual(contents);
    }),
  );

  it("is refused on a database that is newer than the code, which stays untouched", () =>
    withEmptyDatabase((storage) => {
      applyMigrations(storage, next, NOW);
      const schema = schemaOf(storage);
      const error = { code: "newer_schema", foundVersion: NEXT.version, knownVersion: current };
      expect(applyMigrations(storage, SCHEMA, NOW)).toEqual({ ok: false, error });
      expect([schemaOf(storage), versionOf(storage)]).toEqual([schema, NEXT.version]);
    }));
});

it.each(RELEASED)(
  "an object that starts on a database of version %i goes on where the last one stopped",
  async (version) => {
    // Sessions of other tests have the fixture's ids in D1 and R2.
    const sessionId = `live-${crypto.randomUUID()}`;
    const name = newName();
    await runInDurableObject(objectOf(name), async (_, { storage }) => {
      await storage.deleteAll();
      storage.sql.exec(fixtureOf(version));
      for (const table of ["open_sessions", "outbox", "recordings"]) {
        storage.sql.exec(`UPDATE ${table} SET session_id = ?`, sessionId);
      }
      storage.sql.exec("UPDATE recordings SET metadata = replace(metadata, 'live-session', ?)", sessionId);
      await storage.setAlarm(Date.now() + 60_000);
    });
    await abortAllDurableObjects();
    expect(await runDurableObjectAlarm(objectOf(name))).toBe(true);
    expect(await callUserObject(objectOf(name), "currentLock", {})).toMatchObject({
      ok: true,
      value: { by: "admin@example.com" },
    });
    // In the later fixtures, the cluster had sent the command's Status.
    const [end, label] =
      version === 1
        ? [{ outcome: "interrupted", exit_code: null, recording: "interrupted" }, "interrupted"]
        : [{ outcome: "exited", exit_code: 0, recording: "complete" }, "exit code 0"];
    expect(await ended(sessionId)).toMatchObject({ ...end, bytes_in: 11, messages_out: 4 });
    await eventually(async () => {
      const cast = await env.RECORDINGS.get(recordingKey(sessionId));
      expect(await cast?.text()).toMatch(new RegExp(`^${CAST.replace(/[[\]{}".]/g, "\\$&")}.*"m","${label}"`, "s"));
    });
  },
);

describe("an object whose database is newer than its code", () => {
  const MESSAGE =
    "an older version of Sallyport was deployed, which cannot read what a newer one has stored: contact your administrator";

  async function rollBack(name: string): Promise<void> {
    await runInDurableObject(objectOf(name), (_, { storage }) => {
      storage.sql.exec("INSERT INTO schema_migrations (version, applied_at) VALUES (?, 1)", SCHEMA.length + 1);
    });
    await abortAllDurableObjects();
  }

  it("refuses sessions and calls with a message, and serves again once the newer code is back", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    const person = someone();
    await rollBack(person.email);
    const pod = await Puppet.make();

    await expectStatus(await upgrade(person, pod.path()), "ServiceUnavailable", MESSAGE);
    expect(pod.isAsked).toBe(false);
    const refused = { ok: false, error: { code: "object_schema_newer", message: MESSAGE } };
    expect(await callUserObject(objectOf(person.email), "list", {})).toEqual(refused);
    expect(
      await callUserObject(objectOf(person.email), "terminateAll", { by: "admin@example.com", reason: "x" }),
    ).toEqual(refused);
    expect(logged.mock.calls.flat()).toContainEqual(
      JSON.stringify({ event: "object_schema_newer", level: "error", found: SCHEMA.length + 1, known: SCHEMA.length }),
    );

    await runInDurableObject(objectOf(person.email), (_, { storage }) => {
      storage.sql.exec("DELETE FROM schema_migrations WHERE version > ?", SCHEMA.length);
    });
    await abortAllDurableObjects();
    const client = await Client.open(upgrade(person, (await Puppet.make()).path()));
    client.close();
  });

  it("keeps what waits for D1, and its alarm", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const name = newName();
    await runInDurableObject(objectOf(name), async (_, { storage }) => {
      await storage.deleteAll();
      storage.sql.exec(fixtureOf(SCHEMA.length));
      await storage.setAlarm(Date.now() + 60_000);
    });
    await rollBack(name);
    expect(await runDurableObjectAlarm(objectOf(name))).toBe(true);
    const { alarm, contents } = await runInDurableObject(objectOf(name), async (_, { storage }) => ({
      alarm: await storage.getAlarm(),
      contents: contentsOf(storage),
    }));
    expect(alarm).toBeGreaterThan(Date.now());
    expect(contents.queued).toHaveLength(2);
    expect(contents.cast).toEqual([CAST]);
  });
});
