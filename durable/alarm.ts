/** What an alarm needs of an object's storage. */
interface AlarmStorage {
  getAlarm(): Promise<number | null>;
  setAlarm(at: number): Promise<void>;
}

/**
 * How late the platform may ring, ms. An alarm that is later was lost: nothing would wake the object any
 * more, for whoever asks next is told that an earlier one is due.
 */
const LOST_AFTER_MS = 30_000;

/** The object's one alarm. It rings at the earliest time that anybody asked for, also in an earlier life. */
export class Alarm {
  readonly #storage: AlarmStorage;
  #dueAt: number | undefined;
  #hasRung = false;

  constructor(storage: AlarmStorage) {
    this.#storage = storage;
    void this.#keepEarlier(storage.getAlarm());
  }

  /** Makes sure that the alarm rings within `ms`. */
  ringWithin(ms: number): void {
    const now = Date.now();
    const isLost = this.#dueAt !== undefined && this.#dueAt + LOST_AFTER_MS <= now;
    // What a lost one was for is due since.
    const at = isLost ? now : now + ms;
    if (!isLost && this.#dueAt !== undefined && this.#dueAt <= at) return;
    this.#dueAt = at;
    void this.#storage.setAlarm(at);
  }

  /** To be called when it rings: the platform has then removed it. */
  hasRung(): void {
    this.#hasRung = true;
    this.#dueAt = undefined;
  }

  /** A life that asks for a later time must not put off what an earlier one has left to do. */
  async #keepEarlier(asked: Promise<number | null>): Promise<void> {
    const earlier = await asked;
    // One that rang meanwhile is the one that woke the object.
    if (earlier === null || this.#hasRung || (this.#dueAt !== undefined && this.#dueAt <= earlier)) return;
    if (this.#dueAt !== undefined) void this.#storage.setAlarm(earlier);
    this.#dueAt = earlier;
  }
}
