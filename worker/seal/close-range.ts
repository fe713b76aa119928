/** Closes a range: the manifest of its parts, the seal in D1, and its event in the audit log. */
import { type ChainedEvent, hashEvent } from "../../audit/chain.ts";
import { manifestKey, sealEventId } from "../../audit/seal/keys.ts";
import { type Manifest, manifestText, ObjectSum, SEAL_FORMAT } from "../../audit/seal/manifest.ts";
import { insertRemoval, insertSeal, objectsBetween, partsBetween } from "../../audit/seal/queries.ts";
import type { Seal } from "../../audit/seal/tables.ts";
import { ok, type Result } from "../../common/result.ts";
import { withD1Timeout } from "./d1-timeout.ts";
import type { SealFailure } from "./failure.ts";
import { type SealStore, sha256Of } from "./store.ts";

export interface RangeToClose {
  readonly firstRow: number;
  readonly lastRow: number;
  readonly month: string;
  readonly closedBy: Seal["closed_by"];
  readonly previous: Seal | null;
}

/**
 * @param hasTime asked before each part: nothing is written until all have been read
 * @returns null where the time did not suffice. The next run begins again
 */
export async function closeRange(
  database: D1Database,
  store: SealStore,
  { firstRow, lastRow, month, closedBy, previous }: RangeToClose,
  now: number,
  hasTime: () => boolean,
): Promise<Result<Seal | null, SealFailure>> {
  // A seal of which somebody removed or forged the manifest must not get a successor that confirms it.
  if (previous) {
    const known = await store.verify(previous.key, previous.sha256);
    if (!known.ok) return known;
  }
  const parts = await withD1Timeout(partsBetween(database, firstRow, lastRow));
  const sumOfObjects = new ObjectSum();
  for (const part of parts) {
    if (!hasTime()) return ok(null);
    sumOfObjects.add(await withD1Timeout(objectsBetween(database, part.firstRow, part.lastRow)));
  }
  const sum = (count: (part: (typeof parts)[number]) => number) =>
    parts.reduce((total, part) => total + count(part), 0);
  const manifest: Manifest = {
    format: SEAL_FORMAT,
    table: "events",
    ...{ month, closedBy, firstRow, lastRow },
    rows: sum(({ rows }) => rows),
    previous: previous && { key: previous.key, sha256: previous.sha256 },
    parts,
    objects: sumOfObjects.objects,
  };
  const text = new TextEncoder().encode(manifestText(manifest));
  const sha256 = await sha256Of(text);
  const key = manifestKey(manifest, sha256);
  const stored = await store.put(key, text, "application/json");
  if (!stored.ok) return stored;
  const verified = await store.verify(key, sha256);
  if (!verified.ok) return verified;
  const seal = {
    ...{ first_row: firstRow, last_row: lastRow, rows: manifest.rows, month, closed_by: closedBy },
    ...{ parts: parts.length, text_bytes: sum(({ textBytes }) => textBytes), bytes: sum(({ bytes }) => bytes) },
    ...{ key, sha256, previous_sha256: previous?.sha256 ?? "", sealed_at: now },
  };
  const event = chain(previous?.event_hash ?? "", {
    ...{ session_id: sealEventId(firstRow), seq: 0, at: now, type: "seal" },
    data: JSON.stringify(seal),
  });
  const complete: Seal = { ...seal, event_hash: event.hash };
  await withD1Timeout(insertSeal(database, complete, event));
  return ok(complete);
}

/** Says in the audit log that a range leaves D1, and lets the trigger pass its rows. */
export async function beginRemoval(database: D1Database, seal: Seal, keepMonths: number, now: number): Promise<void> {
  const { first_row, last_row, rows, key, sha256 } = seal;
  const event = chain(seal.event_hash, {
    ...{ session_id: sealEventId(first_row), seq: 1, at: now, type: "removal" },
    data: JSON.stringify({ first_row, last_row, rows, key, sha256, keep_months: keepMonths }),
  });
  await withD1Timeout(insertRemoval(database, seal, now, event));
}

function chain(prev_hash: string, event: Omit<ChainedEvent, "hash" | "prev_hash">): ChainedEvent {
  return { ...event, prev_hash, hash: hashEvent({ ...event, prev_hash }) };
}
