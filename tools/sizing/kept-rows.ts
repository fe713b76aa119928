/** How much of the audit log D1 holds once sealed rows leave it. Pure. */
import { SEAL_LIMITS } from "../../audit/seal/next-step.ts";

/** What `audit.seal.keepMonths` accepts. */
export const MIN_KEEP_MONTHS = 1;
const MAX_KEEP_MONTHS = 120;

/** What D1 holds for good: what is kept, and the open range, which ends at 1 GB or with its month. */
export function d1GbHeld(gbPerMonth: number, keepMonths: number): number {
  return gbPerMonth * keepMonths + Math.min(gbPerMonth, SEAL_LIMITS.maxRangeBytes / 1e9);
}

/** The largest `keepMonths` with which D1 stays below a size; 0 where none does. */
export function keepMonthsBelow(gbPerMonth: number, gb: number): number {
  const months = Array.from({ length: MAX_KEEP_MONTHS }, (_, index) => MAX_KEEP_MONTHS - index);
  return months.find((keepMonths) => d1GbHeld(gbPerMonth, keepMonths) < gb) ?? 0;
}
