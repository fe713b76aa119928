/** How much of the audit log D1 holds once sealed rows leave it. Pure. */
import { MAX_DATABASE_BYTES } from "../../audit/seal/database-size.ts";
import { KEEP_MONTHS } from "../../audit/seal/months.ts";
import { SEAL_LIMITS } from "../../audit/seal/next-step.ts";

/** The most that a database of D1 holds, GB. */
export const D1_GB = MAX_DATABASE_BYTES / 1e9;

/** What D1 holds for good: what is kept, and the open range, which ends at 1 GB or with its month. */
export function d1GbHeld(gbPerMonth: number, keepMonths: number): number {
  return gbPerMonth * keepMonths + Math.min(gbPerMonth, SEAL_LIMITS.maxRangeBytes / 1e9);
}

/** The largest `keepMonths` with which D1 stays below a size; 0 where none does. */
export function keepMonthsBelow(gbPerMonth: number, gb: number): number {
  const { least, most } = KEEP_MONTHS;
  const months = Array.from({ length: most - least + 1 }, (_, index) => most - index);
  return months.find((keepMonths) => d1GbHeld(gbPerMonth, keepMonths) < gb) ?? 0;
}
