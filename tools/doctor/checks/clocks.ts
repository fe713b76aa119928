import { type Check, type Dependencies, failure, passed, skipped } from "../check.ts";

/** Access and the Worker tolerate so much between clocks. */
const MAX_SKEW_MS = 5_000;
/** A Date header counts whole seconds. */
const RESOLUTION_MS = 1_000;

export interface Clock {
  readonly name: string;
  /** The time it shows, as an HTTP date. Undefined, or rejected, where it cannot be read. */
  readonly read: () => Promise<string | undefined>;
}

/** This machine's clock agrees with the others. Tokens are valid from and until a second. */
export function clocksCheck(clocks: readonly Clock[], { now }: Pick<Dependencies, "now">): Check {
  return {
    id: "clocks",
    run: async () => {
      const agreeing: string[] = [];
      for (const clock of clocks) {
        const before = now();
        const shown = Date.parse((await clock.read().catch(() => undefined)) ?? "");
        const after = now();
        if (Number.isNaN(shown)) continue;
        // The clock was read at some time between `before` and `after`.
        const skew = Math.max(shown - after, before - (shown + RESOLUTION_MS), 0);
        if (skew > MAX_SKEW_MS) {
          return failure(
            `the clocks of ${clock.name} and of this machine are ${Math.round(skew / 1000)} s apart`,
            "set the clocks by NTP: Access tokens are valid to the second",
          );
        }
        agreeing.push(clock.name);
      }
      if (agreeing.length === 0) return skipped("no other clock could be read");
      return passed(`this machine's clock agrees with ${agreeing.join(", ")}`);
    },
  };
}
