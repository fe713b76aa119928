const NOTHING = new Uint8Array(0);

/** Collects bytes up to a bound. It grows by doubling: they may come one by one. */
export class BoundedBuffer {
  readonly #maxBytes: number;
  #buffer = NOTHING;
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get length(): number {
    return this.#length;
  }

  /** What it takes of the memory. */
  get heldBytes(): number {
    return this.#buffer.length;
  }

  /** A view that is valid until the next call. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** @returns false where they do not fit; then nothing is added */
  add(bytes: Uint8Array): boolean {
    const length = this.#length + bytes.length;
    if (length > this.#maxBytes) return false;
    if (length > this.#buffer.length) {
      const larger = new Uint8Array(Math.min(Math.max(length, this.#length * 2), this.#maxBytes));
      larger.set(this.bytes);
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length = length;
    return true;
  }

  /** Empties it. @returns the bytes, which are the caller's from now on */
  take(): Uint8Array {
    const { bytes } = this;
    this.#buffer = NOTHING;
    this.#length = 0;
    return bytes;
  }
}
