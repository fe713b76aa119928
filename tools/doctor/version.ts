/** Version numbers as programs print them. Pure. */

/** @returns the numbers of `v1.36.3+k3s1`, `2026.8.2`; undefined where there are none */
export function parseVersion(text: string): readonly [number, number, number] | undefined {
  const [, major, minor, patch] = /(\d+)\.(\d+)(?:\.(\d+))?/.exec(text) ?? [];
  return major === undefined ? undefined : [Number(major), Number(minor), Number(patch ?? 0)];
}

/** Whether a version is at least the other. One that cannot be read is not. */
export function isAtLeast(version: string, least: string): boolean {
  const one = parseVersion(version);
  const other = parseVersion(least);
  if (!one || !other) return false;
  for (const [index, number] of one.entries()) {
    const difference = number - (other[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}
