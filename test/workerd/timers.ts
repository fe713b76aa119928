import { vi } from "vitest";

/**
 * Makes timers of `from` ms fire after `to` ms, until mocks are restored. The objects of these tests share
 * the test's global scope.
 */
export function shortenTimer(from: number, to: number): void {
  const real = globalThis.setTimeout;
  const shortened = (work: () => void, ms?: number) => real(work, ms === from ? to : ms);
  vi.spyOn(globalThis, "setTimeout").mockImplementation(shortened as typeof setTimeout);
}
