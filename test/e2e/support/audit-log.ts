/** Reads the audit log as a security team does: SQL on the local D1's file. */
import { DatabaseSync } from "node:sqlite";
import { expect } from "vitest";

export type Row = Readonly<Record<string, string | number | null>>;

export function query(d1Path: string, sql: string, ...parameters: string[]): Row[] {
  const database = new DatabaseSync(d1Path, { readOnly: true });
  try {
    return database.prepare(sql).all(...parameters) as Row[];
  } finally {
    database.close();
  }
}

/** Waits until exactly one session matches, and returns it. */
export async function sessionWhere(d1Path: string, condition: string, ...parameters: string[]): Promise<Row> {
  const find = () => query(d1Path, `SELECT * FROM sessions WHERE ${condition}`, ...parameters);
  await expect.poll(() => find().length, { message: `one session where ${condition}` }).toBe(1);
  return find()[0] as Row;
}
