import type { CloseCause } from "./close-cause.ts";

/** What a session waits for before the cluster hears of it. */
export interface SessionWait {
  readonly waitsFor: "approval" | "watcher";
  /** Of the request for access that it waits for, if it does. */
  readonly accessId?: string;
  /** Why the session ends if its person leaves now. */
  readonly givenUp: CloseCause;
  /** To be called every second or so. @param now ms since the epoch */
  check(now: number): void;
}
