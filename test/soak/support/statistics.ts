import { percentile } from "../../../tools/statistics.ts";

/** `p50 1.2, p99 3.4, max 5.6 (n 100)`, for a report. */
export function spread(values: readonly number[], digits = 1): string {
  if (values.length === 0) return "none";
  const [p50, p99, most] = [0.5, 0.99, 1].map((share) => percentile(values, share).toFixed(digits));
  return `p50 ${p50}, p99 ${p99}, max ${most} (n ${values.length})`;
}
