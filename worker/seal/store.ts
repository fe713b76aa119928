/** Sealed objects in the bucket of recordings. Every method rejects when R2 fails or does not answer in time. */
import { bytesToHex } from "@noble/hashes/utils.js";
import { err, ok, type Result } from "../../common/result.ts";
import { STORAGE_TIMEOUTS_MS } from "../../common/storage-timeouts.ts";
import { withTimeout } from "../../common/with-timeout.ts";
import { objectAltered, objectMissing, type SealFailure } from "./failure.ts";

/** An object as the bucket has it. */
interface Stored {
  readonly bytes: ArrayBuffer;
  readonly sha256: string;
}

export class SealStore {
  readonly #bucket: R2Bucket;

  constructor(bucket: R2Bucket) {
    this.#bucket = bucket;
  }

  /**
   * Writes an object unless it exists, and reads it back.
   *
   * @returns what the bucket has now
   */
  async put(key: string, bytes: ArrayBuffer | Uint8Array, contentType: string): Promise<Result<Stored, SealFailure>> {
    try {
      await withR2Timeout(
        this.#bucket.put(key, bytes, { onlyIf: { etagDoesNotMatch: "*" }, httpMetadata: { contentType } }),
      );
    } catch (error) {
      // An earlier run may have written it, and the bucket's lock may then refuse the second copy.
      if (!(await withR2Timeout(this.#bucket.head(key)))) throw error;
    }
    return await this.read(key);
  }

  async read(key: string): Promise<Result<Stored, SealFailure>> {
    const found = await withR2Timeout(this.#bucket.get(key));
    if (!found) return err(objectMissing(key));
    const bytes = await withR2Timeout(found.arrayBuffer());
    return ok({ bytes, sha256: await sha256Of(bytes) });
  }

  /** Reads a whole object and compares it with what its seal says. */
  async verify(key: string, sha256: string): Promise<Result<Stored, SealFailure>> {
    const stored = await this.read(key);
    if (!stored.ok) return stored;
    return stored.value.sha256 === sha256 ? stored : err(objectAltered(key));
  }

  async exists(key: string): Promise<boolean> {
    return (await withR2Timeout(this.#bucket.head(key))) !== null;
  }
}

export async function sha256Of(bytes: BufferSource): Promise<string> {
  return toHex(await crypto.subtle.digest("SHA-256", bytes));
}

/** The SHA-256 of what a gzipped object contains. It is never in memory as a whole. */
export async function sha256OfContent(gzipped: ArrayBuffer): Promise<string> {
  const digest = new crypto.DigestStream("SHA-256");
  const piped = new Blob([gzipped]).stream().pipeThrough(new DecompressionStream("gzip")).pipeTo(digest);
  // Both reject where the object is not gzip.
  const [result] = await Promise.all([digest.digest, piped]);
  return toHex(result);
}

export function toHex(bytes: ArrayBuffer): string {
  return bytesToHex(new Uint8Array(bytes));
}

function withR2Timeout<T>(work: Promise<T>): Promise<T> {
  return withTimeout(work, STORAGE_TIMEOUTS_MS.r2Export);
}
