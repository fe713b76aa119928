/** Version numbers as programs print them. Pure. */

/** @returns the numbers of `v1.36.3+k3s1` or `2026.8.2`; undefined where there are none */
export function parseVersion(text: string): readonly [major: number, minor: number, patch: number] | undefined {
  const [, major, minor, patch] = /(\d+)\.(\d+)(?:\.(\d+))?/.exec(text) ?? [];
  return major === undefined ? undefined : [Number(major), Number(minor), Number(patch ?? 0)];
}

/** Whether a version is `minimum` or later. A version that cannot be read is not. */
export function isAtLeast(version: string, minimum: string): boolean {
  const numbers = parseVersion(version);
  const least = parseVersion(minimum);
  if (!numbers || !least) return false;
  for (const [index, number] of numbers.entries()) {
    const difference = number - (least[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}
