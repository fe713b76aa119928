import type { BufferedPiece, InputBuffer } from "../relay/upstream-writer.ts";

interface PieceRow extends Record<string, SqlStorageValue> {
  readonly bytes: ArrayBuffer;
  readonly is_text: number;
  readonly is_last: number;
}

/**
 * What one session's client has sent and its command has not taken, in the object's SQLite, in order. Rows of
 * an object that stopped are useless, since its sockets are gone: `removeAll` at its next start.
 */
export class StdinBuffer implements InputBuffer {
  readonly #sql: SqlStorage;
  readonly #sessionId: string;
  /** The rows of this session, oldest first. Another session's may lie between. */
  #positions: number[] = [];
  #next = 0;

  constructor(sql: SqlStorage, sessionId: string) {
    this.#sql = sql;
    this.#sessionId = sessionId;
  }

  static removeAll(sql: SqlStorage): void {
    sql.exec("DELETE FROM buffered_stdin");
  }

  get isEmpty(): boolean {
    return this.#next === this.#positions.length;
  }

  /** @throws what SQLite throws, for example when the object's storage is full */
  append({ bytes, isText, isLast }: BufferedPiece): void {
    const { position } = this.#sql
      .exec<{ position: number }>(
        "INSERT INTO buffered_stdin (session_id, bytes, is_text, is_last) VALUES (?, ?, ?, ?) RETURNING position",
        this.#sessionId,
        bytes,
        isText ? 1 : 0,
        isLast ? 1 : 0,
      )
      .one();
    this.#positions.push(position);
  }

  /** Removes and returns the oldest piece. */
  take(): BufferedPiece | undefined {
    const position = this.#positions[this.#next];
    if (position === undefined) return undefined;
    this.#next++;
    if (this.isEmpty) {
      this.#positions = [];
      this.#next = 0;
    }
    const { bytes, is_text, is_last } = this.#sql
      .exec<PieceRow>("DELETE FROM buffered_stdin WHERE position = ? RETURNING bytes, is_text, is_last", position)
      .one();
    return { bytes: new Uint8Array(bytes), isText: is_text === 1, isLast: is_last === 1 };
  }

  clear(): void {
    const first = this.#positions[this.#next];
    const last = this.#positions.at(-1);
    if (first === undefined || last === undefined) return;
    this.#sql.exec(
      "DELETE FROM buffered_stdin WHERE position BETWEEN ? AND ? AND session_id = ?",
      first,
      last,
      this.#sessionId,
    );
    this.#positions = [];
    this.#next = 0;
  }
}
