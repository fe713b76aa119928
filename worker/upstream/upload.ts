/**
 * The body of a request, which is read to its end even where the answer comes first.
 *
 * workerd closes the connection of a request once it has thrown away 64 KiB of a body that nobody read. The
 * client can then send no more, and most clients look for no answer after that. Once an answer has ended,
 * nothing of the body can be read ("Can't read from request stream after response has been sent"), not even
 * in `waitUntil`. So the answer is sent at once, and ends after the body.
 */
import { withTimeout } from "../../common/with-timeout.ts";

/** The platform itself throws away as much of a body: `canceledUploadGraceBytes` in kj/compat/http.h. */
const DISCARDED_BY_PLATFORM_BYTES = 64 * 1024;
/** Without a buffer of ours a read gives 4 KiB, and 100 MB take 2 s instead of 0.5 s. */
const BUFFER_BYTES = 64 * 1024;

/** How much is thrown away. A client that sends more has its answer, and then a closed connection. */
export interface DiscardLimits {
  readonly maxBytes: number;
  readonly maxMs: number;
  /** A client that has stopped sending may wait for the answer's end. */
  readonly maxSilenceMs: number;
}

const DISCARD_LIMITS: DiscardLimits = { maxBytes: 64 * 1024 * 1024, maxMs: 30_000, maxSilenceMs: 2_000 };

export class Upload {
  readonly #body: ReadableStream<Uint8Array>;
  readonly #headers: Headers;
  readonly #limits: DiscardLimits;
  readonly #isSmall: boolean;
  /** Where the body goes; null where, or since when, it is thrown away. */
  #cluster: WritableStreamDefaultWriter<Uint8Array> | null = null;
  #reading: Promise<void> | null = null;
  #readBytes = 0;
  #isOver = false;

  private constructor(body: ReadableStream<Uint8Array>, headers: Headers, limits: DiscardLimits) {
    this.#body = body;
    this.#headers = headers;
    this.#limits = limits;
    const length = headers.get("Content-Length");
    this.#isSmall = length !== null && Number(length) <= DISCARDED_BY_PLATFORM_BYTES;
  }

  /** @returns undefined for a request without a body */
  static of({ body, headers }: Request, limits: DiscardLimits = DISCARD_LIMITS): Upload | undefined {
    return body === null || headers.get("Content-Length") === "0" ? undefined : new Upload(body, headers, limits);
  }

  /**
   * Some clients announce a body with each request and send none: `Transfer-Encoding: chunked`, then its end.
   */
  async isEmpty(): Promise<boolean> {
    for await (const piece of this.#body.values({ preventCancel: true })) {
      if (piece.byteLength > 0) return false;
    }
    this.#isOver = true;
    return true;
  }

  /** What goes to the cluster: the body, or one as long in its place. Call it once. */
  forward(): ReadableStream<Uint8Array> {
    if (this.#isSmall) return this.#body;
    const { readable, writable } = streamOfLength(this.#headers);
    this.#cluster = writable.getWriter();
    this.#reading = this.#read();
    return readable;
  }

  /**
   * Keeps an answer open until the rest of the body has come, or as much of it as the limits say.
   *
   * @returns the answer as it is, where the body has been read or is small, or is not sent yet; or where the
   *   answer is compressed: it would be decompressed, and compressed again
   */
  holdOpen(answer: Response): Response {
    const { body, headers } = answer;
    if (this.#isSmall || this.#isOver) return answer;
    // Read elsewhere, or not sent: a client that asks first (`Expect: 100-continue`) would be told to go on.
    if (this.#reading === null && (this.#body.locked || this.#headers.has("Expect"))) return answer;
    if (!body || headers.has("Content-Encoding")) return answer;
    this.#reading ??= this.#read();
    const { readable, writable } = streamOfLength(headers);
    // Either end may break it off, and the other one learns of it from the stream itself.
    void this.#pass(body, this.#reading, writable.getWriter()).catch(() => {});
    return new Response(readable, answer);
  }

  async #pass(
    answer: ReadableStream<Uint8Array>,
    reading: Promise<void>,
    client: WritableStreamDefaultWriter<Uint8Array>,
  ): Promise<void> {
    try {
      // workerd has no `pipeTo` between two of its own streams, and an answer that a lock may cut is one.
      for await (const piece of answer) await client.write(piece);
    } catch (error) {
      return await client.abort(error);
    }
    // Who has answered in full may read no more, and keep us waiting for that.
    void this.#cluster?.abort().catch(() => {});
    const until = Date.now() + this.#limits.maxMs;
    for (let before = -1; !this.#isOver && this.#readBytes > before && Date.now() < until; ) {
      before = this.#readBytes;
      await withTimeout(reading, this.#limits.maxSilenceMs).catch(() => {});
    }
    await client.close();
  }

  /** Never rejects. */
  async #read(): Promise<void> {
    let discardedBytes = 0;
    try {
      const reader = this.#body.getReader({ mode: "byob" });
      let buffer = new Uint8Array(BUFFER_BYTES);
      while (discardedBytes <= this.#limits.maxBytes) {
        const { value, done } = await reader.read(buffer);
        if (done) break;
        this.#readBytes += value.byteLength;
        if (!(await this.#send(value))) discardedBytes += value.byteLength;
        buffer = new Uint8Array(value.buffer);
      }
      await this.#cluster?.close();
    } catch (error) {
      // The client has gone, and the cluster must not take what came for the whole.
      await this.#cluster?.abort(error).catch(() => {});
    } finally {
      this.#isOver = true;
    }
  }

  /** @returns whether the cluster took it */
  async #send(piece: Uint8Array): Promise<boolean> {
    if (!this.#cluster) return false;
    try {
      await this.#cluster.write(piece);
      return true;
    } catch {
      this.#cluster = null;
      return false;
    }
  }
}

function streamOfLength(headers: Headers): IdentityTransformStream {
  const length = headers.get("Content-Length");
  return length === null ? new IdentityTransformStream() : new FixedLengthStream(Number(length));
}
