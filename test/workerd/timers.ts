import { vi } from "vitest";

/**
 * Makes timers of `from` ms fire after `to` ms, until mocks are restored. The objects of these tests share
 * the test's global scope.
 */
export function shortenTimer(from: number, to: number): void {
  changeTimers(new Map([[from, to]]));
}

/** The same for several lengths. What is never to fire gets a day. */
export function changeTimers(lengths: ReadonlyMap<number | undefined, number>): void {
  const real = globalThis.setTimeout;
  const changed = (work: () => void, ms?: number) => real(work, lengths.get(ms) ?? ms);
  vi.spyOn(globalThis, "setTimeout").mockImplementation(changed as typeof setTimeout);
}
