import { vi } from "vitest";

/** Timers of `from` ms ring after `to` ms, until mocks are restored. The objects of these tests share the test's global scope. */
export function shortenTimer(from: number, to: number): void {
  const real = globalThis.setTimeout;
  const impatient = (work: () => void, ms?: number) => real(work, ms === from ? to : ms);
  vi.spyOn(globalThis, "setTimeout").mockImplementation(impatient as typeof setTimeout);
}
