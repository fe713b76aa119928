import { DurableObject } from "cloudflare:workers";
import { ok, type Result } from "../../common/result.ts";
import type { SharedBindings } from "../../contract/bindings.ts";
import type { Denial } from "../../contract/denial.ts";
import { answerDirectoryCall, type DirectoryAnswer } from "../../contract/directory.ts";
import { Alarm } from "../alarm.ts";
import { AuditLog } from "../audit-log.ts";
import { openStorage, retryNewerSchema } from "../storage/open-storage.ts";
import { DrainSwitch } from "./drain-switch.ts";
import { LiveDirectory } from "./live-directory.ts";

/**
 * What needs the database: not what is live, which is known while a newer build's database cannot be read.
 */
interface Stored {
  readonly alarm: Alarm;
  readonly audit: AuditLog;
  readonly drain: DrainSwitch;
}

/**
 * The Durable Object that knows what is live in the whole deployment, and holds the drain switch. There is
 * one: `DIRECTORY_NAME`.
 *
 * contract/directory.ts describes its methods. Nothing that a session or a request needs depends on their
 * answers.
 */
export class Directory extends DurableObject<SharedBindings> {
  readonly #live = new LiveDirectory(Date.now());
  /** The schema is that of users' objects, for the journal and its way to D1 are theirs. */
  readonly #stored: Result<Stored, Denial>;

  constructor(ctx: DurableObjectState, env: SharedBindings) {
    super(ctx, env);
    this.#stored = openStorage(ctx.storage, () => {
      const alarm = new Alarm(ctx.storage);
      const audit = new AuditLog(ctx, alarm, env.AUDIT_DB);
      return { alarm, audit, drain: new DrainSwitch(ctx.storage.sql, audit) };
    });
  }

  report(argument: unknown): DirectoryAnswer<"report"> {
    return answerDirectoryCall("report", argument, (report) => ok(this.#live.report(report, Date.now())));
  }

  listLive(argument: unknown): DirectoryAnswer<"listLive"> {
    return answerDirectoryCall("listLive", argument, (query) => ok(this.#live.list(query, Date.now())));
  }

  readDrain(argument: unknown): DirectoryAnswer<"readDrain"> {
    return answerDirectoryCall("readDrain", argument, () => this.#withSwitch((drain) => drain.read(Date.now())));
  }

  beginDrain(argument: unknown): DirectoryAnswer<"beginDrain"> {
    return answerDirectoryCall("beginDrain", argument, (command) =>
      this.#withSwitch((drain) => drain.begin(command, Date.now())),
    );
  }

  endDrain(argument: unknown): DirectoryAnswer<"endDrain"> {
    return answerDirectoryCall("endDrain", argument, (command) =>
      this.#withSwitch((drain) => drain.end(command, Date.now())),
    );
  }

  override async alarm(): Promise<void> {
    if (!this.#stored.ok) return void (await retryNewerSchema(this.ctx.storage));
    const { alarm, audit } = this.#stored.value;
    alarm.hasRung();
    await audit.deliver();
  }

  #withSwitch<T>(work: (drain: DrainSwitch) => T): Result<T, Denial> {
    return this.#stored.ok ? ok(work(this.#stored.value.drain)) : this.#stored;
  }
}
