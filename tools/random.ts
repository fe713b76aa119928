/**
 * Pseudo-random numbers from a seed: the same seed gives the same numbers. For models and tests, never for
 * secrets.
 */
export class Random {
  #state: number;

  /** @param seed its lower 32 bits are used */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to 2^32 - 1 (mulberry32). */
  uint32(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** From 0 up to, not including, 1. */
  next(): number {
    return this.uint32() / 2 ** 32;
  }

  /** A whole number from 0 to `end - 1`. */
  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  /** A whole number, both ends included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** @throws RangeError where there are no items */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError("nothing to pick from");
    return items[this.below(items.length)] as T;
  }

  /** The index of one of `weights`, each with a probability of its share. */
  weighted(weights: readonly number[]): number {
    let rest = this.next() * weights.reduce((sum, weight) => sum + weight, 0);
    const found = weights.findIndex((weight) => {
      rest -= weight;
      return rest < 0;
    });
    return found === -1 ? weights.length - 1 : found;
  }

  /** Standard normal distribution (Box and Muller). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
  }

  /**
   * Log-normal distribution: half of the values are below `median`, `sigma` is the spread of their
   * logarithms.
   */
  logNormal(median: number, sigma: number): number {
    return median * Math.exp(sigma * this.normal());
  }

  /** Poisson distribution: how many events happen where `mean` are expected. */
  poisson(mean: number): number {
    // Knuth's product takes a step per event. For many events the normal distribution is as close and takes
    // one.
    if (mean > 50) return Math.max(0, Math.round(mean + Math.sqrt(mean) * this.normal()));
    let product = this.next();
    let count = 0;
    for (const least = Math.exp(-mean); product > least; count++) product *= this.next();
    return count;
  }

  /** A generator of its own, which does not depend on how often this one is used from now on. */
  fork(): Random {
    return new Random(this.uint32());
  }
}
