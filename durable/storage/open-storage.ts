import { logEvent } from "../../common/log.ts";
import { err, ok, type Result } from "../../common/result.ts";
import { type Denial, denial } from "../../contract/denial.ts";
import { applyMigrations, type SqliteStorage } from "./migrations.ts";
import { SCHEMA } from "./schema.ts";

/** How long until an object asks again whether a newer build serves it, ms. */
const NEWER_SCHEMA_RETRY_MS = 60_000;

/**
 * Brings an object's database to the current schema, and makes what works on it.
 *
 * @returns `object_schema_newer` where a newer build has used the database. It does not throw then: a
 *   constructor that throws would make the object crash in a loop.
 */
export function openStorage<T>(storage: SqliteStorage, make: () => T): Result<T, Denial> {
  const migrated = applyMigrations(storage, SCHEMA, Date.now());
  if (migrated.ok) return ok(make());
  const { foundVersion, knownVersion } = migrated.error;
  logEvent("error", "object_schema_newer", { found: foundVersion, known: knownVersion });
  return err(denial("object_schema_newer", OLDER_VERSION));
}

/**
 * What waits in the database is delivered once a build that knows its schema is deployed: the alarm rings
 * then.
 */
export function retryNewerSchema(storage: Pick<DurableObjectStorage, "setAlarm">): Promise<void> {
  return storage.setAlarm(Date.now() + NEWER_SCHEMA_RETRY_MS);
}

const OLDER_VERSION =
  "an older version of Sallyport was deployed, which cannot read what a newer one has stored: " +
  "contact your administrator";
