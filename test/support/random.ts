import { Random as Numbers } from "../../tools/random.ts";

const POOL_BYTES = 64 * 1024;

/** The generator of tests, with bytes. */
export class Random extends Numbers {
  /**
   * At most 64 KiB, a part of a pool: generating a million frames byte by byte would take most of a test's
   * time.
   */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    const from = this.below(POOL_BYTES - length + 1);
    return pool.slice(from, from + length);
  }

  /** The length of a frame: mostly short, rarely long. */
  length(most: number): number {
    if (this.chance(0.001)) return this.below(most + 1);
    return this.below(Math.min(most + 1, this.pick([2, 3, 20, 60])));
  }

  /** Cuts bytes into pieces of 0 to `longest` bytes. */
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

/** `SALLYPORT_SEED`, to repeat a run; without it a new seed. */
export function seedOfRun(): number {
  const given = process.env["SALLYPORT_SEED"];
  return (given === undefined ? Date.now() ^ (process.pid << 16) : Number(given)) >>> 0;
}
