import { Seeded } from "../../../tools/seeded.ts";

/** The same seed makes the same choices; the machine's own timing stays its own. */
export class Random extends Seeded {
  /** A whole number, both ends included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  }

  /** Another one, whose choices do not depend on how often this one is asked from now on. */
  fork(): Random {
    return new Random(this.between(0, 2 ** 32 - 1));
  }
}
