/**
 * A year of a deployment in a local D1, at the rates of tools/sizing/assumptions.ts: D1 keeps a few months,
 * R2 all of it, and together they are one intact log.
 *
 *     SALLYPORT_YEAR_PEOPLE=100 npx vitest run --project workerd-edge test/workerd/seal-year.test.ts
 *
 * prints what a year of a hundred people takes. By default it is that of one.
 */
import { env } from "cloudflare:workers";
import { expect, it, vi } from "vitest";
import { type ChainedEvent, hashEvent } from "../../audit/chain.ts";
import { parseSealLine, type SealedRow } from "../../audit/seal/lines.ts";
import { parseManifest } from "../../audit/seal/manifest.ts";
import type { Seal } from "../../audit/seal/tables.ts";
import { ChainVerifier } from "../../audit/verify.ts";
import { makeSessionId } from "../../contract/session-id.ts";
import { ASSUMPTIONS, USAGE_PROFILES } from "../../tools/sizing/assumptions.ts";
import { runSeal } from "../../worker/seal/run.ts";
import { emptyAuditLog, setDatabaseClock } from "./seal-clock.ts";
import { sessionEvents } from "./session-events.ts";

const PEOPLE = env.TEST_YEAR_PEOPLE;
const MONTHS = 12;
const KEEP_MONTHS = 3;
const YEAR = 2026;
const WORKDAY_HOURS = 9;
/** The whole chain of more people would not fit into memory here: `audit-verify` uses a file. */
const MAX_VERIFIED_PEOPLE = 5;
const CRON_MS = 5 * 60_000;

const PROFILES = Object.values(USAGE_PROFILES);
const sessionsPerDay = PROFILES.reduce((sum, { perDay }) => sum + perDay, 0);
const changesPerDay = ASSUMPTIONS.requestsPerDay * ASSUMPTIONS.auditedRequestsShare;

/** A person's object: its chain of first events. */
class Person {
  readonly #user: string;
  readonly #object: string;
  #lastFirst = "";
  #serial = 0;

  constructor(index: number) {
    this.#user = `person-${String(index).padStart(3, "0")}@example.com`;
    this.#object = (index + 1).toString(16).padStart(64, "0");
  }

  /** What a workday leaves in the audit log. */
  day(start: number): ChainedEvent[] {
    const spread = (index: number, count: number) =>
      start + Math.floor(((index + 0.5) / count) * WORKDAY_HOURS * 3_600_000);
    const sessions = Math.round(sessionsPerDay);
    const changes = Math.round(changesPerDay);
    return [
      ...Array.from({ length: sessions }, (_, index) => this.#session(spread(index, sessions))),
      ...Array.from({ length: changes }, (_, index) => this.#change(spread(index, changes), index)),
    ].flat();
  }

  #session(at: number): ChainedEvent[] {
    const random = new Uint8Array(10);
    new DataView(random.buffer).setUint32(0, this.#serial++);
    const id = makeSessionId(this.#object, at, random);
    return this.#chain(
      sessionEvents({ id, at, start: { user: this.#user, kubernetes_user: this.#user } }).map((event) => ({
        ...event,
        data: JSON.stringify(event.data),
      })),
    );
  }

  #change(at: number, index: number): ChainedEvent[] {
    const id = `${new Date(at).toISOString()}-${this.#object.slice(-8)}${String(this.#serial++).padStart(8, "0")}`;
    const request = {
      ...{ user: this.#user, kubernetes_user: this.#user, cluster: "prod", category: "mutation", decision: "allowed" },
      ...{ method: "PATCH", path: "/apis/apps/v1/namespaces/shop/deployments/web", verb: "patch", api_group: "apps" },
      ...{ resource: "deployments", namespace: "shop", name: `web-${index}`, client_address: "192.0.2.1" },
      ...{ country: "DE", user_agent: "kubectl/v1.36.3 (linux/amd64) kubernetes/0123456", arrived_at: at },
      awaits_response: true,
    };
    return this.#chain([
      { session_id: id, seq: 0, at, type: "request", data: JSON.stringify(request) },
      { session_id: id, seq: 1, at: at + 40, type: "response", data: '{"status":200,"reason":null}' },
    ]);
  }

  #chain(drafts: readonly Pick<ChainedEvent, "session_id" | "seq" | "at" | "type" | "data">[]): ChainedEvent[] {
    let prev_hash = this.#lastFirst;
    return drafts.map((draft, index) => {
      const hash = hashEvent({ ...draft, prev_hash });
      const event = { ...draft, prev_hash, hash };
      prev_hash = hash;
      if (index === 0) this.#lastFirst = hash;
      return event;
    });
  }
}

const INSERT = `INSERT INTO events (session_id, seq, at, type, data, prev_hash, hash)
  SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6 FROM json_each(?)`;

async function write(events: readonly ChainedEvent[]): Promise<void> {
  for (let from = 0; from < events.length; from += 1_000) {
    const rows = events
      .slice(from, from + 1_000)
      .map(({ session_id, seq, at, type, data, prev_hash, hash }) => [
        session_id,
        seq,
        at,
        type,
        data,
        prev_hash,
        hash,
      ]);
    await env.AUDIT_DB.prepare(INSERT).bind(JSON.stringify(rows)).run();
  }
}

/** Writes a month of workdays. */
async function live(people: readonly Person[], month: number): Promise<void> {
  const days = Array.from({ length: 31 }, (_, day) => Date.UTC(YEAR, month, day + 1, 8)).filter(
    (at) => new Date(at).getUTCMonth() === month && ![0, 6].includes(new Date(at).getUTCDay()),
  );
  for (const [index, day] of days.slice(0, ASSUMPTIONS.workdaysPerMonth).entries()) {
    // Not everybody works every day.
    const active = people.filter((_, person) => ((person + index) * 0.618) % 1 < ASSUMPTIONS.activeShare);
    for (const person of active) await write(person.day(day));
  }
}

/** Runs the cron trigger until there is nothing to do. @returns how often it ran */
async function seal(from: number): Promise<number> {
  await setDatabaseClock(from);
  for (let runs = 1; ; runs++) {
    const outcome = await runSeal({
      ...{ database: env.AUDIT_DB, bucket: env.RECORDINGS, keepMonths: KEEP_MONTHS },
      now: () => from + Math.min(runs * CRON_MS, 50 * 60_000),
    });
    expect(outcome.error).toBeNull();
    if (outcome.parts + outcome.seals + outcome.removed === 0) return runs;
    expect(runs).toBeLessThan(500);
  }
}

async function size(): Promise<{ rows: number; oldest: number; bytes: number }> {
  const { results, meta } = await env.AUDIT_DB.prepare(
    "SELECT count(*) AS rows, min(row_number) AS oldest FROM events",
  ).all<{ rows: number; oldest: number }>();
  return { ...(results[0] ?? { rows: 0, oldest: 0 }), bytes: meta.size_after ?? 0 };
}

/** Every row of the seals, and those that D1 has beyond them. */
async function* wholeLog(): AsyncGenerator<SealedRow> {
  const { results: seals } = await env.AUDIT_DB.prepare("SELECT * FROM seals ORDER BY first_row").all<Seal>();
  for (const { key } of seals) {
    const manifest = parseManifest((await (await env.RECORDINGS.get(key))?.text()) ?? "");
    if (!manifest.ok) throw new Error(manifest.error);
    for (const part of manifest.value.parts) {
      const object = await env.RECORDINGS.get(part.key);
      const text = await new Response(object?.body.pipeThrough(new DecompressionStream("gzip"))).text();
      for (const line of text.trimEnd().split("\n")) {
        const row = parseSealLine(line);
        if (!row.ok) throw new Error(row.error);
        yield row.value;
      }
    }
  }
  const { results } = await env.AUDIT_DB.prepare("SELECT * FROM events WHERE row_number > ? ORDER BY row_number")
    .bind(seals.at(-1)?.last_row ?? 0)
    .all<SealedRow>();
  yield* results;
}

it(`of ${PEOPLE} people leaves a few months in D1, and an intact log`, { timeout: 3_600_000 }, async () => {
  vi.spyOn(console, "log").mockImplementation(() => {});
  await emptyAuditLog();
  const people = Array.from({ length: PEOPLE }, (_, index) => new Person(index));
  const sizes: Awaited<ReturnType<typeof size>>[] = [];
  for (let month = 0; month < MONTHS; month++) {
    await live(people, month);
    const before = await size();
    const runs = await seal(Date.UTC(YEAR, month + 1, 2));
    sizes.push(before);
    const after = await size();
    console.info(
      `month ${month + 1}: ${before.rows} rows, ${(before.bytes / 1e6).toFixed(1)} MB before; ${runs} runs; ` +
        `${after.rows} rows, ${(after.bytes / 1e6).toFixed(1)} MB after`,
    );
  }
  const monthly = sizes[0] ?? { rows: 0, bytes: 0 };
  const newest = sizes.at(-1) ?? monthly;
  // The open month, those that are kept, and the one that leaves.
  expect(newest.rows).toBeLessThan(monthly.rows * (KEEP_MONTHS + 2));
  expect(newest.bytes).toBeLessThan(monthly.bytes * (KEEP_MONTHS + 2));

  let rows = 0;
  const log: SealedRow[] = [];
  for await (const row of wholeLog()) {
    if (row.row_number !== ++rows || hashEvent(row) !== row.hash) throw new Error(`row ${rows} is missing or altered`);
    if (PEOPLE <= MAX_VERIFIED_PEOPLE) log.push(row);
  }
  expect(rows).toBeGreaterThan(monthly.rows * (MONTHS - 2));
  const verifier = new ChainVerifier();
  for (const row of log.sort(byEvent)) verifier.add(row);
  expect(verifier.finish()).toMatchObject({ open: [], broken: [] });

  const { objects } = await env.RECORDINGS.list({ prefix: "seals/" });
  const bytes = objects.reduce((sum, object) => sum + object.size, 0);
  console.info(`${rows} rows in a year; R2 has ${objects.length} objects of ${(bytes / 1e6).toFixed(1)} MB`);
});

function byEvent(one: SealedRow, other: SealedRow): number {
  if (one.session_id !== other.session_id) return one.session_id < other.session_id ? -1 : 1;
  return one.seq - other.seq;
}
