/** An audit log in a SQLite with D1's schema, and its seals in memory: made as worker/seal makes them. */
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { gzipSync } from "node:zlib";
import { type ChainedEvent, hashEvent } from "../../audit/chain.ts";
import { manifestKey, partKey, sealEventId } from "../../audit/seal/keys.ts";
import { SEALED_COLUMNS, type SealedRow, sealLine } from "../../audit/seal/lines.ts";
import { type Manifest, type ManifestPart, manifestText, SEAL_FORMAT } from "../../audit/seal/manifest.ts";
import type { Seal } from "../../audit/seal/tables.ts";
import { readMigrations } from "../../dev/stack/migrations.ts";
import type { Query } from "../../tools/audit-source.ts";
import type { SealObjects } from "../../tools/seals/objects.ts";
import { objectsIn } from "../../tools/seals/read-seal.ts";

export const MIGRATIONS = readMigrations(resolve(import.meta.dirname, "../../migrations"));

const sha256 = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex");

type Draft = Pick<ChainedEvent, "type" | "at"> & { readonly data: object };

export class SealedLog {
  readonly database = new DatabaseSync(":memory:");
  readonly stored = new Map<string, Uint8Array>();
  readonly #lastStarts = new Map<string, string>();

  constructor() {
    for (const { statements } of MIGRATIONS) for (const statement of statements) this.database.exec(statement);
    // They read the real clock. test/workerd/seal.test.ts tests them.
    for (const { name } of this.database.prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'").all() as {
      name: string;
    }[]) {
      this.database.exec(`DROP TRIGGER ${name}`);
    }
  }

  readonly query: Query = async <Row>(sql: string) => this.database.prepare(sql).all() as Row[];

  get objects(): SealObjects {
    return { place: "the test", read: async (key) => this.stored.get(key) };
  }

  rows(): SealedRow[] {
    const sql = `SELECT ${SEALED_COLUMNS.join(", ")} FROM events ORDER BY row_number`;
    return this.database.prepare(sql).all() as unknown as SealedRow[];
  }

  /** Writes a session of three events, chained as its object does. */
  session(id: string, user: string, at: number): void {
    const start = { user, kind: "exec", namespace: "shop", pod: "web-0", cluster: "prod", command: ["sh"] };
    this.write(id, this.#lastStarts.get(user) ?? "", [
      { type: "start", at, data: start },
      { type: "connect", at: at + 1, data: { protocol: "v5.channel.k8s.io" } },
      { type: "end", at: at + 2, data: { outcome: "exited" } },
    ]);
    const [first] = this.rows().filter(({ session_id }) => session_id === id);
    this.#lastStarts.set(user, first?.hash ?? "");
  }

  write(id: string, before: string, drafts: readonly Draft[], firstSeq = 0): ChainedEvent[] {
    let prev_hash = before;
    return drafts.map(({ type, at, data }, index) => {
      const body = { session_id: id, seq: firstSeq + index, at, type, data: JSON.stringify(data), prev_hash };
      const event = { ...body, hash: hashEvent(body) };
      prev_hash = event.hash;
      this.insert("events", event);
      return event;
    });
  }

  /** Seals everything up to a row, in parts of so many rows. */
  seal(lastRow: number, partRows: number, month: string): void {
    const previous = (
      this.database.prepare("SELECT * FROM seals ORDER BY first_row DESC LIMIT 1").all() as unknown as Seal[]
    )[0];
    const firstRow = (previous?.last_row ?? 0) + 1;
    const rows = this.rows().filter(({ row_number: number }) => number >= firstRow && number <= lastRow);
    const parts: ManifestPart[] = [];
    for (let index = 0; index < rows.length; index += partRows)
      parts.push(this.#part(rows.slice(index, index + partRows)));
    const manifest: Manifest = {
      ...{
        format: SEAL_FORMAT,
        table: "events",
        month,
        closedBy: "month",
        firstRow,
        lastRow,
        rows: rows.length,
        parts,
      },
      previous: previous ? { key: previous.key, sha256: previous.sha256 } : null,
      objects: objectsIn(rows),
    };
    const text = manifestText(manifest);
    const [hash, key] = [sha256(text), manifestKey(manifest, sha256(text))];
    this.stored.set(key, Buffer.from(text));
    const sum = (count: (part: ManifestPart) => number) => parts.reduce((total, part) => total + count(part), 0);
    const seal = {
      ...{ first_row: firstRow, last_row: lastRow, rows: rows.length, month, closed_by: "month" as const },
      ...{ parts: parts.length, text_bytes: sum(({ textBytes }) => textBytes), bytes: sum(({ bytes }) => bytes) },
      ...{ key, sha256: hash, previous_sha256: previous?.sha256 ?? "", sealed_at: 1 },
    };
    const [event] = this.write(sealEventId(firstRow), previous?.event_hash ?? "", [
      { type: "seal", at: 1, data: seal },
    ]);
    this.insert("seals", { ...seal, event_hash: event?.hash ?? "" });
  }

  /** Removes the rows of the oldest range that is still there. */
  remove(): void {
    const [seal] = this.database
      .prepare(
        "SELECT * FROM seals WHERE first_row > (SELECT coalesce(max(first_row), 0) FROM seal_removals) ORDER BY first_row",
      )
      .all() as unknown as Seal[];
    if (!seal) throw new Error("nothing is sealed");
    this.write(sealEventId(seal.first_row), seal.event_hash, [{ type: "removal", at: 2, data: {} }], 1);
    this.insert("seal_removals", { first_row: seal.first_row, last_row: seal.last_row, removed_at: 2 });
    this.database.exec(`DELETE FROM events WHERE row_number <= ${seal.last_row}`);
  }

  insert(table: string, row: object): void {
    const names = Object.keys(row);
    this.database
      .prepare(`INSERT INTO ${table} (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`)
      .run(...(Object.values(row) as (string | number)[]));
  }

  #part(rows: readonly SealedRow[]): ManifestPart {
    const text = rows.map((row) => `${sealLine(row)}\n`).join("");
    const bytes = gzipSync(text);
    const [first, last] = [rows[0] as SealedRow, rows.at(-1) as SealedRow];
    const range = { firstRow: first.row_number, lastRow: last.row_number };
    const key = partKey(range, sha256(text));
    this.stored.set(key, bytes);
    return {
      ...{ key, ...range, rows: rows.length, bytes: bytes.length, sha256: sha256(bytes) },
      ...{ textBytes: Buffer.byteLength(text), firstHash: first.hash, lastHash: last.hash },
    };
  }
}
