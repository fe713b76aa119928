import { SpdyError } from "./errors.ts";

/**
 * What parsing costs, in the terms that a peer controls. A message of 32 MiB may hold millions of frames, and
 * a header block of a few bytes may inflate to megabytes, so bytes on the wire are no measure of it.
 */
export interface SpdyWork {
  readonly frames: number;
  /** Blocks of DEFLATE in header blocks: each may bring tables of its own. */
  readonly deflateBlocks: number;
  readonly inflatedBytes: number;
  readonly headerPairs: number;
}

const NO_WORK: SpdyWork = { frames: 0, deflateBlocks: 0, inflatedBytes: 0, headerPairs: 0 };

/** Counts work against a limit. */
export class WorkBudget {
  readonly #limits: Partial<SpdyWork>;
  #done: Record<keyof SpdyWork, number> = { ...NO_WORK };

  constructor(limits: Partial<SpdyWork> = {}) {
    this.#limits = limits;
  }

  /**
   * To be called before the work is done.
   *
   * @throws SpdyError if it is more than the limit
   */
  spend(kind: keyof SpdyWork, amount = 1): void {
    this.#done[kind] += amount;
    if (this.#done[kind] > (this.#limits[kind] ?? Number.POSITIVE_INFINITY)) {
      throw new SpdyError("too-much-work", `a message with more than ${this.#limits[kind]} ${NAMES[kind]}`);
    }
  }

  renew(): void {
    this.#done = { ...NO_WORK };
  }

  /** The work since the budget was last renewed. */
  get done(): SpdyWork {
    return { ...this.#done };
  }
}

const NAMES: Record<keyof SpdyWork, string> = {
  frames: "frames",
  deflateBlocks: "blocks of DEFLATE",
  inflatedBytes: "bytes of headers",
  headerPairs: "headers",
};
