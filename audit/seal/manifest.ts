/**
 * The manifest of a sealed range: which objects it has, and what each of the users' objects contributed. Its
 * text depends on the rows alone, so that two runs make the same. Each manifest has the hash of the one
 * before it: whoever knows the newest hash can verify all of them.
 */
import * as z from "zod";
import { err, ok, type Result } from "../../common/result.ts";
import { CLOSED_BY } from "./next-step.ts";

export const SEAL_FORMAT = "sallyport-seal/1";

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "a SHA-256 in hexadecimal");
const row = z.int().positive();
const count = z.int().nonnegative();

const partSchema = z.strictObject({
  key: z.string(),
  firstRow: row,
  lastRow: row,
  rows: row,
  /** Of the object: compressed. */
  bytes: count,
  sha256,
  /** Of its lines. */
  textBytes: count,
  /** Hashes of the first and the last event. */
  firstHash: z.string(),
  lastHash: z.string(),
});

const manifestSchema = z.strictObject({
  format: z.literal(SEAL_FORMAT),
  table: z.literal("events"),
  month: z.string().regex(/^\d{4}-\d\d$/),
  closedBy: z.enum(CLOSED_BY),
  firstRow: row,
  lastRow: row,
  rows: row,
  /** The manifest before this one, or null for the first. */
  previous: z.strictObject({ key: z.string(), sha256 }).nullable(),
  parts: z.array(partSchema).min(1),
  /**
   * The users' objects with a chain in this range. The chain is that of first events: starts, requests,
   * locks. The next one of the same object, in a later range, has `lastHash` as its prev_hash.
   */
  objects: z.array(
    z.strictObject({
      /** "" for requests without an identity. */
      user: z.string(),
      /** "" for the object that no location hint placed. */
      locationHint: z.string(),
      /** How many first events. */
      events: row,
      firstHash: z.string(),
      lastHash: z.string(),
    }),
  ),
});

export type Manifest = z.output<typeof manifestSchema>;
export type ManifestPart = Manifest["parts"][number];
export type ManifestObject = Manifest["objects"][number];

/** @returns the manifest's text, which is hashed */
export function manifestText(manifest: Manifest): string {
  return `${JSON.stringify(manifestSchema.parse(manifest), null, 1)}\n`;
}

/**
 * Reads a manifest and checks that it agrees with itself: parts follow each other and fill its range.
 *
 * @returns a message for a person when it does not
 */
export function parseManifest(text: string): Result<Manifest, string> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return err("it is not JSON");
  }
  const parsed = manifestSchema.safeParse(value);
  if (!parsed.success) return err(`it is no manifest of ${SEAL_FORMAT}`);
  const manifest = parsed.data;
  let next = manifest.firstRow;
  let rows = 0;
  for (const part of manifest.parts) {
    if (part.firstRow !== next || part.lastRow < part.firstRow)
      return err(`${part.key} does not follow the part before`);
    next = part.lastRow + 1;
    rows += part.rows;
  }
  if (next !== manifest.lastRow + 1) return err("its parts do not end with its last row");
  if (rows !== manifest.rows) return err("its parts do not have its number of rows");
  return ok(manifest);
}

/**
 * Adds up what parts know of each user's object, in the order of the parts. Only the sum is in memory: with
 * 10,000 people each part of a range knows of some 8,600 objects, and a range has up to 170 parts.
 */
export class ObjectSum {
  readonly #sums = new Map<string, ManifestObject>();

  add(part: readonly ManifestObject[]): void {
    for (const one of part) {
      const owner = ownerOf(one);
      const before = this.#sums.get(owner);
      this.#sums.set(owner, before ? { ...before, events: before.events + one.events, lastHash: one.lastHash } : one);
    }
  }

  /** In the order of a manifest. */
  get objects(): ManifestObject[] {
    return [...this.#sums].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, sum]) => sum);
  }
}

/** The sum of all these parts. */
export function mergeObjects(parts: Iterable<readonly ManifestObject[]>): ManifestObject[] {
  const sum = new ObjectSum();
  for (const part of parts) sum.add(part);
  return sum.objects;
}

function ownerOf({ user, locationHint }: ManifestObject): string {
  return JSON.stringify([user, locationHint]);
}
