const POOL_BYTES = 64 * 1024;

/** Randomness that can be had again: the same seed gives the same run. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** mulberry32: 32 bits of state are plenty for tests, and it is four lines. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** 0 to `end - 1`. */
  below(end: number): number {
    return Math.floor((this.next() / 0x1_0000_0000) * end);
  }

  chance(probability: number): boolean {
    return this.next() < probability * 0x1_0000_0000;
  }

  pick<T>(list: readonly [T, ...T[]]): T {
    return list[this.below(list.length)] ?? list[0];
  }

  /** At most 64 KiB, out of a pool: a million frames' worth made one by one takes most of a test's time. */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    const from = this.below(POOL_BYTES - length + 1);
    return pool.slice(from, from + length);
  }

  /** Mostly short, seldom long: what a frame of anything is like. */
  length(most: number): number {
    if (this.chance(0.001)) return this.below(most + 1);
    return this.below(Math.min(most + 1, this.pick([2, 3, 20, 60])));
  }

  /** Cuts bytes at random borders, pieces from none to `longest` bytes. */
  *cut(bytes: Uint8Array, longest: number): Generator<Uint8Array> {
    for (let at = 0; at < bytes.length; ) {
      const end = at + this.below(longest + 1);
      yield bytes.subarray(at, end);
      at = end;
    }
  }
}

const poolRandom = new Random(0);
const pool = Uint8Array.from({ length: POOL_BYTES }, () => poolRandom.next());

/** `SALLYPORT_SEED` where it is set, to have a run again; else a new one. */
export function seedOfRun(): number {
  const given = process.env["SALLYPORT_SEED"];
  return (given === undefined ? Date.now() ^ (process.pid << 16) : Number(given)) >>> 0;
}
