import { Seeded } from "../seeded.ts";

/** Randomness of a simulated day. */
export class Random extends Seeded {
  /** Standard normal (Box and Muller). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
  }

  /** Log-normal: half of the values are below `median`; `sigma` is the spread of their logarithms. */
  logNormal(median: number, sigma: number): number {
    return median * Math.exp(sigma * this.normal());
  }

  /** How many events of a Poisson process happen where `mean` are to be expected. */
  poisson(mean: number): number {
    // Knuth's product for few; for many the normal distribution is as good and takes one step.
    if (mean > 50) return Math.max(0, Math.round(mean + Math.sqrt(mean) * this.normal()));
    let product = this.next();
    let count = 0;
    for (const least = Math.exp(-mean); product > least; count++) product *= this.next();
    return count;
  }

  /** The place of one of `weights`, with a chance of its share. */
  weighted(weights: readonly number[]): number {
    let rest = this.next() * weights.reduce((sum, weight) => sum + weight, 0);
    const found = weights.findIndex((weight) => {
      rest -= weight;
      return rest < 0;
    });
    return found === -1 ? weights.length - 1 : found;
  }
}
