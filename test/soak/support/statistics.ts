/** Figures for a report. */

/** @param share 0.5 for the median */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** Least squares: how much `y` grows with each unit of `x`. */
export function slope(points: readonly { readonly x: number; readonly y: number }[]): number {
  const mean = (pick: (point: { x: number; y: number }) => number) =>
    points.reduce((sum, point) => sum + pick(point), 0) / points.length;
  const meanX = mean(({ x }) => x);
  const meanY = mean(({ y }) => y);
  const covariance = points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0);
  return covariance / points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0);
}

/** `p50 1.2, p99 3.4, max 5.6` */
export function spread(values: readonly number[], digits = 1): string {
  if (values.length === 0) return "none";
  const [p50, p99, most] = [0.5, 0.99, 1].map((share) => quantile(values, share).toFixed(digits));
  return `p50 ${p50}, p99 ${p99}, max ${most} (n ${values.length})`;
}
