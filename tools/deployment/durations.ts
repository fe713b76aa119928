/** Durations as Cloudflare Access writes them. Pure. */

const UNIT_SECONDS = { h: 3_600, m: 60, s: 1 } as const;

/** @returns seconds of `8h`, `1h30m` or `15m0s`; undefined for any other text */
export function durationSeconds(text: string): number | undefined {
  if (!/^(\d+[hms])+$/.test(text)) return undefined;
  const parts = [...text.matchAll(/(\d+)([hms])/g)];
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * UNIT_SECONDS[unit as "h" | "m" | "s"], 0);
}

/** @returns `8 h`, `1 h 30 min`, `15 min` or `20 s` */
export function describeDuration(seconds: number): string {
  const parts = [
    { count: Math.floor(seconds / 3_600), unit: "h" },
    { count: Math.floor((seconds % 3_600) / 60), unit: "min" },
    { count: seconds % 60, unit: "s" },
  ];
  return (
    parts
      .filter(({ count }) => count > 0)
      .map(({ count, unit }) => `${count} ${unit}`)
      .join(" ") || "0 s"
  );
}
