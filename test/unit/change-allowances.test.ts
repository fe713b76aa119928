import { describe, expect, test } from "vitest";
import { ChangeAllowances } from "../../durable/change-allowances.ts";

const NOW = Date.UTC(2026, 10, 27);
/** The default of `audit.requests.maxChangesPerMinute`. */
const MAX = 600;
const ROOM = 10_000;

/** What an isolate does with one change: uses its allowance or asks first, then takes what it is given. */
function change(allowances: ChangeAllowances, isolate: string, held: Map<string, number>, now: number): boolean {
  const own = held.get(isolate) ?? 0;
  if (own > 0) allowances.spend(isolate, now);
  else if (allowances.take(MAX, now) > 0) return false;
  held.set(isolate, allowances.grant(isolate, MAX, ROOM, now)?.changes ?? 0);
  return true;
}

describe("changes that isolates may hand on", () => {
  test("are not used up by isolates that see one change each", () => {
    const allowances = new ChangeAllowances();
    const held = new Map<string, number>();
    const done = Array.from({ length: 200 }, (_, n) => change(allowances, `isolate ${n}`, held, NOW));
    expect(done).toEqual(Array.from({ length: 200 }, () => true));
  });

  test("grow with their use, so that a busy isolate hardly asks", () => {
    const allowances = new ChangeAllowances();
    const held = new Map<string, number>();
    const sizes = Array.from({ length: 60 }, () => {
      change(allowances, "busy", held, NOW);
      return held.get("busy");
    });
    expect(sizes[0]).toBe(4);
    expect(Math.max(...sizes.map(Number))).toBe(50);
  });

  test.each([1, 3, 64, 100])("never let %i isolates make more changes than the limit", (isolates) => {
    const allowances = new ChangeAllowances();
    const held = new Map<string, number>();
    const done = Array.from({ length: 3 * MAX }, (_, n) => change(allowances, `isolate ${n % isolates}`, held, NOW));
    expect(done.filter(Boolean).length).toBeLessThanOrEqual(MAX);
  });

  test("are free again where an isolate did not use them", () => {
    const allowances = new ChangeAllowances();
    allowances.grant("gone", MAX, ROOM, NOW);
    expect(allowances.reserved(NOW + 14_000)).toBe(4);
    expect(allowances.reserved(NOW + 15_001)).toBe(0);
  });
});
