import type * as z from "zod";

/** Reads a stream of records, as lines or as events. */
export class StreamReader<Record> {
  readonly records: Record[] = [];
  text = "";
  isOver = false;
  error: unknown;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #schema: z.ZodType<Record>;

  /** @param schema of each record */
  constructor(response: Response, schema: z.ZodType<Record>) {
    if (!response.body) throw new Error("no body");
    this.#schema = schema;
    this.#reader = response.body.getReader();
    void this.#read();
  }

  leave(): Promise<void> {
    return this.#reader.cancel();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    try {
      for (let rest = ""; ; ) {
        const { value, done } = await this.#reader.read();
        if (done) break;
        const piece = decoder.decode(value, { stream: true });
        this.text += piece;
        const lines = (rest + piece).split("\n");
        rest = lines.pop() ?? "";
        const texts = lines.map((line) => line.replace(/^data: /, "")).filter((line) => line !== "");
        this.records.push(...texts.map((line) => this.#schema.parse(JSON.parse(line))));
      }
    } catch (error) {
      this.error = error;
    }
    this.isOver = true;
  }
}
