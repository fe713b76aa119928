/**
 * Puts the audit log together again: rows of the seals, and rows of D1, in one SQLite file with D1's schema.
 * So the chain can be verified over the seam, and every query of docs/QUERIES.md works on rows that have left
 * D1.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { SEALED_COLUMNS, type SealedRow } from "../../audit/seal/lines.ts";
import { mergeObjects } from "../../audit/seal/manifest.ts";
import type { Seal } from "../../audit/seal/tables.ts";
import type { Migration } from "../../dev/stack/migrations.ts";
import type { Query } from "../audit-source.ts";
import type { SealObjects } from "./objects.ts";
import { objectsIn, readManifest, readPart } from "./read-seal.ts";

/** What was found on the way. */
export interface SeamReport {
  readonly seals: readonly Seal[];
  /** How many objects were read, and rows in them. */
  readonly parts: number;
  readonly sealedRows: number;
  /** How many of these are no longer in D1. */
  readonly leftRows: number;
  readonly rowsInD1: number;
  /** For a person. Empty when everything agrees. */
  readonly problems: readonly string[];
}

/** An answer of D1 has a few megabytes at most. An event is under 64 KiB, and most are under 1 KiB. */
const PAGE_ROWS = 500;
const COLUMNS = SEALED_COLUMNS.join(", ");

/** Tables that are copied whole, beside `events`. */
const COPIED = ["request_rows", "seals", "seal_parts", "seal_removals"];

/**
 * @param target an empty database
 * @param migrations D1's; the triggers are created last
 */
export async function assembleLog(
  target: DatabaseSync,
  migrations: readonly Migration[],
  ask: Query,
  objects: SealObjects,
): Promise<SeamReport> {
  const createTriggers = createSchema(target, migrations);
  const assembly = new Assembly(target, ask, objects);
  target.exec("BEGIN");
  await assembly.run();
  for (const table of COPIED) await copyTable(target, ask, table);
  target.exec("COMMIT");
  createTriggers();
  return assembly.report();
}

/** @returns what creates the triggers, for which rows must be there */
function createSchema(target: DatabaseSync, migrations: readonly Migration[]): () => void {
  for (const { statements } of migrations) for (const statement of statements) target.exec(statement);
  const triggers = target.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all() as {
    name: string;
    sql: string;
  }[];
  for (const { name } of triggers) target.exec(`DROP TRIGGER ${name}`);
  return () => {
    for (const { sql } of triggers) target.exec(sql);
  };
}

class Assembly {
  #seals: readonly Seal[] = [];
  #parts = 0;
  #sealedRows = 0;
  #sealedRowsInD1 = 0;
  #rowsInD1 = 0;
  readonly #problems: string[] = [];
  /** Numbers of rows that repeat an earlier one. */
  readonly #repeated = new Set<number>();
  readonly #ask: Query;
  readonly #objects: SealObjects;
  readonly #target: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #byNumber: StatementSync;
  readonly #byEvent: StatementSync;
  readonly #sealedBetween: StatementSync;

  constructor(target: DatabaseSync, ask: Query, objects: SealObjects) {
    this.#target = target;
    this.#ask = ask;
    this.#objects = objects;
    const values = SEALED_COLUMNS.map(() => "?").join(", ");
    this.#insert = target.prepare(`INSERT INTO events (${COLUMNS}) VALUES (${values}) ON CONFLICT DO NOTHING`);
    this.#byNumber = target.prepare(`SELECT ${COLUMNS} FROM events WHERE row_number = ?`);
    this.#sealedBetween = target.prepare(
      "SELECT min(row_number) AS first, max(row_number) AS last FROM events WHERE row_number BETWEEN ? AND ?",
    );
    this.#byEvent = target.prepare("SELECT hash FROM events WHERE session_id = ? AND seq = ?");
  }

  async run(): Promise<void> {
    this.#seals = await this.#ask<Seal>("SELECT * FROM seals ORDER BY first_row");
    for (const [index, seal] of this.#seals.entries()) await this.#readSeal(seal, this.#seals[index - 1]);
    await this.#readD1();
    this.#findGaps();
  }

  report(): SeamReport {
    return {
      ...{ seals: this.#seals, parts: this.#parts, sealedRows: this.#sealedRows, rowsInD1: this.#rowsInD1 },
      ...{ leftRows: this.#sealedRows - this.#sealedRowsInD1, problems: this.#problems },
    };
  }

  async #readSeal(seal: Seal, previous: Seal | undefined): Promise<void> {
    if (seal.first_row !== (previous?.last_row ?? 0) + 1)
      this.#problems.push(`seal ${seal.key} does not follow the one before`);
    const manifest = await readManifest(seal, previous, this.#objects);
    if (!manifest.ok) {
      this.#problems.push(manifest.error);
      return;
    }
    const found: ReturnType<typeof objectsIn>[] = [];
    for (const part of manifest.value.parts) {
      const rows = await readPart(part, this.#objects);
      if (!rows.ok) {
        this.#problems.push(rows.error);
        continue;
      }
      this.#parts++;
      this.#sealedRows += rows.value.length;
      for (const row of rows.value) this.#add(row);
      found.push(objectsIn(rows.value));
    }
    const isWhole = found.length === manifest.value.parts.length;
    if (isWhole && JSON.stringify(mergeObjects(found)) !== JSON.stringify(manifest.value.objects)) {
      this.#problems.push(`${seal.key} does not have the first and last hashes of its rows`);
    }
  }

  async #readD1(): Promise<void> {
    // Rows that arrive meanwhile are left out: otherwise a session could have its end without its start.
    const [range] = await this.#ask<{ newest: number | null; left: number | null }>(
      "SELECT (SELECT max(row_number) FROM events) AS newest, (SELECT max(last_row) FROM seal_removals) AS left",
    );
    const newest = Number(range?.newest ?? 0);
    const leftTo = Number(range?.left ?? 0);
    const sealedTo = this.#seals.at(-1)?.last_row ?? 0;
    for (let last = 0; ; ) {
      const page = await this.#ask<SealedRow>(
        `SELECT ${COLUMNS} FROM events WHERE row_number > ${last} AND row_number <= ${newest} ORDER BY row_number LIMIT ${PAGE_ROWS}`,
      );
      for (const row of page) {
        this.#findLeft(Math.max(last, leftTo) + 1, row.row_number - 1);
        last = row.row_number;
        this.#rowsInD1++;
        if (last <= sealedTo) this.#compare(row);
        else this.#add(row);
      }
      if (page.length < PAGE_ROWS) {
        this.#findLeft(Math.max(last, leftTo) + 1, sealedTo);
        return;
      }
    }
  }

  /** Sealed rows that D1 lacks and should have. What the seals lack too, `#findGaps` finds. */
  #findLeft(from: number, to: number): void {
    if (from > to) return;
    const sealed = this.#sealedBetween.get(from, to) as { first: number | null; last: number | null };
    if (sealed.first !== null && sealed.last !== null) this.#missing(sealed.first, sealed.last, "D1");
  }

  /** A row of D1 that is sealed as well. */
  #compare(row: SealedRow): void {
    const sealed = this.#byNumber.get(row.row_number) as unknown as SealedRow | undefined;
    if (!sealed) {
      // Its object was missing or altered, which is reported. D1 still has the row.
      this.#add(row);
      return;
    }
    this.#sealedRowsInD1++;
    if (SEALED_COLUMNS.some((column) => sealed[column] !== row[column])) {
      this.#problems.push(`row ${row.row_number} in D1 is not the row that was sealed: it was changed`);
    }
  }

  #add(row: SealedRow): void {
    const { changes } = this.#insert.run(...SEALED_COLUMNS.map((column) => row[column]));
    if (changes === 1) return;
    // An object that was away for months delivers an event again that has left D1 meanwhile.
    const known = this.#byEvent.get(row.session_id, row.seq);
    if (known?.["hash"] === row.hash) this.#repeated.add(row.row_number);
    else this.#problems.push(`row ${row.row_number} contradicts an earlier row`);
  }

  /** Numbers that neither D1 nor a seal has. */
  #findGaps(): void {
    const gaps = this.#target
      .prepare(
        `SELECT before + 1 AS first, row_number - 1 AS last FROM (
           SELECT row_number, lag(row_number, 1, 0) OVER (ORDER BY row_number) AS before FROM events
         ) WHERE row_number > before + 1`,
      )
      .all() as { first: number; last: number }[];
    for (const { first, last } of gaps) {
      const isRepeated =
        last - first < this.#repeated.size && range(first, last).every((row) => this.#repeated.has(row));
      if (!isRepeated) this.#missing(first, last, "D1 and the seals");
    }
  }

  #missing(first: number, last: number, where: string): void {
    this.#problems.push(
      first === last ? `row ${first} is missing in ${where}` : `rows ${first} to ${last} are missing in ${where}`,
    );
  }
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

async function copyTable(target: DatabaseSync, ask: Query, table: string): Promise<void> {
  for (let offset = 0; ; offset += PAGE_ROWS) {
    const page = await ask<Record<string, string | number | null>>(
      `SELECT * FROM ${table} ORDER BY rowid LIMIT ${PAGE_ROWS} OFFSET ${offset}`,
    );
    for (const row of page) {
      const names = Object.keys(row);
      const values = names.map(() => "?").join(", ");
      target.prepare(`INSERT INTO ${table} (${names.join(", ")}) VALUES (${values})`).run(...Object.values(row));
    }
    if (page.length < PAGE_ROWS) return;
  }
}
