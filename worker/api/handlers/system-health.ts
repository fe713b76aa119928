import type * as z from "zod";
import { type DatabaseHealth, readDatabaseHealth } from "../../../audit/health-queries.ts";
import { MAX_DATABASE_BYTES } from "../../../audit/seal/database-size.ts";
import { MAX_COUNTED_SESSIONS } from "../../../common/counted-sessions.ts";
import { ok } from "../../../common/result.ts";
import { askDirectory, findLive } from "../../sessions/directory.ts";
import { queryDatabase } from "../database.ts";
import type { systemHealth } from "../schemas/oversight.ts";
import { getDrain } from "./drain.ts";
import { getExport } from "./export.ts";
import type { Handler } from "./handler.ts";

type Health = z.output<typeof systemHealth>;

/** A date that is further away is none. */
const MAX_FORECAST_MS = 100 * 366 * 24 * 60 * 60 * 1_000;

/** Asks each part by itself: what does not answer is null, and keeps nothing else back. */
export const getSystemHealth: Handler<"getSystemHealth"> = async (_, api) => {
  const { env, config } = api;
  const now = Date.now();
  const call = { params: {}, query: {}, body: {} };
  const [database, exported, drain, objects, live] = await Promise.all([
    queryDatabase(readDatabaseHealth(env.AUDIT_DB, now)),
    getExport(call, api),
    getDrain(call, api),
    askDirectory(env.DIRECTORY, "describeObjects", {}),
    findLive(env.DIRECTORY, { filter: {}, limit: MAX_COUNTED_SESSIONS }),
  ]);
  const known = database.ok ? database.value : undefined;
  return ok({
    version: env.VERSION?.id ?? null,
    database: known ? databaseJson(known, now) : null,
    seal: known ? sealJson(known) : null,
    unsealed: known ? unsealedJson(known) : null,
    keepMonths: config.audit.seal.keepMonths,
    recentChain: known
      ? {
          events: known.checkedEvents,
          broken: known.broken.map(({ session_id, seq }) => ({ sessionId: session_id, seq })),
        }
      : null,
    export: exported.ok ? exported.value : null,
    drain: drain.ok ? drain.value : null,
    objects: objects.ok
      ? { version: objects.value.version, undeliveredSince: timeJson(objects.value.undeliveredSince) }
      : null,
    live: live ? { sessions: live.sessions.length, complete: live.isComplete } : null,
  });
};

function databaseJson(health: DatabaseHealth, now: number): Health["database"] {
  const { bytes, newestRow, newestAt, eventsPerDay, bytesPerDay, fullAt } = health;
  return {
    ...{ bytes, maxBytes: MAX_DATABASE_BYTES, newestRow, newestAt: timeJson(newestAt) },
    ...{ eventsPerDay: whole(eventsPerDay), bytesPerDay: whole(bytesPerDay) },
    fullAt: fullAt !== null && fullAt - now < MAX_FORECAST_MS ? timeJson(fullAt) : null,
  };
}

function sealJson({ seal, newestRow }: DatabaseHealth): Health["seal"] {
  if (!seal) return null;
  const { month, sealed_at, last_row } = seal;
  return { month, sealedAt: new Date(sealed_at).toISOString(), lastRow: last_row, unsealedRows: newestRow - last_row };
}

function unsealedJson({ unsealed }: DatabaseHealth): Health["unsealed"] {
  return unsealed && { oldestAt: new Date(unsealed.oldestAt).toISOString(), month: unsealed.month };
}

function timeJson(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}

function whole(number: number | null): number | null {
  return number === null ? null : Math.round(number);
}
