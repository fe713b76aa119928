/** Reads one seal's objects and compares them with what D1, the manifest and the seal before say. */
import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { parseSealLine, type SealedRow } from "../../audit/seal/lines.ts";
import {
  type Manifest,
  type ManifestObject,
  type ManifestPart,
  mergeObjects,
  parseManifest,
} from "../../audit/seal/manifest.ts";
import type { Seal } from "../../audit/seal/tables.ts";
import { err, ok, type Result } from "../../common/result.ts";
import type { SealObjects } from "./objects.ts";

/** @returns a message for a person where the manifest is missing, altered, or another than the seal's */
export async function readManifest(
  seal: Seal,
  previous: Seal | undefined,
  objects: SealObjects,
): Promise<Result<Manifest, string>> {
  const bytes = await objects.read(seal.key);
  if (!bytes) return err(`${seal.key} is missing in ${objects.place}`);
  if (sha256(bytes) !== seal.sha256) return err(`${seal.key} was altered: its SHA-256 is not the seal's`);
  const manifest = parseManifest(Buffer.from(bytes).toString());
  if (!manifest.ok) return err(`${seal.key}: ${manifest.error}`);
  const { firstRow, lastRow, rows, month, previous: before } = manifest.value;
  if (firstRow !== seal.first_row || lastRow !== seal.last_row || rows !== seal.rows || month !== seal.month) {
    return err(`${seal.key} is not about the rows of its seal`);
  }
  if ((before?.sha256 ?? "") !== (previous?.sha256 ?? "") || seal.previous_sha256 !== (previous?.sha256 ?? "")) {
    return err(`${seal.key} does not follow the seal before it`);
  }
  return manifest;
}

/** @returns the rows of a part, or a message for a person where it is missing or altered */
export async function readPart(
  part: ManifestPart,
  objects: SealObjects,
): Promise<Result<readonly SealedRow[], string>> {
  const bytes = await objects.read(part.key);
  if (!bytes) return err(`${part.key} is missing in ${objects.place}`);
  if (sha256(bytes) !== part.sha256) return err(`${part.key} was altered: its SHA-256 is not the manifest's`);
  let text: string;
  try {
    text = gunzipSync(bytes).toString();
  } catch {
    return err(`${part.key} cannot be decompressed`);
  }
  const rows: SealedRow[] = [];
  for (const line of text.split("\n").slice(0, -1)) {
    const row = parseSealLine(line);
    if (!row.ok) return err(`${part.key}: ${row.error}`);
    const { row_number: number } = row.value;
    if (number < part.firstRow || number > part.lastRow || number <= (rows.at(-1)?.row_number ?? 0)) {
      return err(`${part.key}: row ${number} is not in its place`);
    }
    rows.push(row.value);
  }
  const agrees = rows.length === part.rows && rows[0]?.hash === part.firstHash && rows.at(-1)?.hash === part.lastHash;
  return agrees ? ok(rows) : err(`${part.key} does not have the rows that its manifest says`);
}

/** Adds up what each user's object has in these rows, as audit/seal/queries.ts does. */
export function objectsIn(rows: readonly SealedRow[]): ManifestObject[] {
  const first = rows.filter(({ seq, type }) => seq === 0 && type !== "seal");
  return mergeObjects(
    first.map(({ data, hash }) => {
      const { user, location_hint: locationHint } = readOwner(data);
      return [{ user: textOf(user), locationHint: textOf(locationHint), events: 1, firstHash: hash, lastHash: hash }];
    }),
  );
}

function readOwner(data: string): { readonly user?: unknown; readonly location_hint?: unknown } {
  try {
    return Object(JSON.parse(data)) as object;
  } catch {
    return {};
  }
}

/** As SQLite's `->>` and `coalesce` have it. */
function textOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
