/** The object's one alarm. It rings at the earliest time that anybody asked for. */
export class Alarm {
  readonly #storage: Pick<DurableObjectStorage, "setAlarm">;
  /** As far as this life of the object knows. */
  #dueAt: number | undefined;

  constructor(storage: Pick<DurableObjectStorage, "setAlarm">) {
    this.#storage = storage;
  }

  /** Makes sure that the alarm rings within `ms`. */
  ringWithin(ms: number): void {
    const at = Date.now() + ms;
    if (this.#dueAt !== undefined && this.#dueAt <= at) return;
    this.#dueAt = at;
    void this.#storage.setAlarm(at);
  }

  /** To be called when it rings: the platform has then removed it. */
  hasRung(): void {
    this.#dueAt = undefined;
  }
}
