import { Seeded } from "../../tools/seeded.ts";

const POOL_BYTES = 64 * 1024;

/** The same seed gives the same run. */
export class Random extends Seeded {
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
const pool = Uint8Array.from({ length: POOL_BYTES }, () => poolRandom.uint32());

/** `SALLYPORT_SEED` where it is set, to have a run again; else a new one. */
export function seedOfRun(): number {
  const given = process.env["SALLYPORT_SEED"];
  return (given === undefined ? Date.now() ^ (process.pid << 16) : Number(given)) >>> 0;
}
