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
import { PendingAccess } from "./pending-access.ts";

/**
 * What needs the database: not what is live, which is known while a newer build's database cannot be read.
 */
interface Stored {
  readonly alarm: Alarm;
  readonly audit: AuditLog;
  readonly drain: DrainSwitch;
  readonly access: PendingAccess;
}

/**
 * The Durable Object that knows what is live in the whole deployment, holds the drain switch, and lists
 * the requests for access that wait for a decision. There is one: `DIRECTORY_NAME`.
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
      const { sql } = ctx.storage;
      return { alarm, audit, drain: new DrainSwitch(sql, audit), access: new PendingAccess(sql) };
    });
  }

  report(argument: unknown): DirectoryAnswer<"report"> {
    return answerDirectoryCall("report", argument, (report) => ok(this.#live.report(report, Date.now())));
  }

  listLive(argument: unknown): DirectoryAnswer<"listLive"> {
    return answerDirectoryCall("listLive", argument, (query) => ok(this.#live.list(query, Date.now())));
  }

  reportAccess(argument: unknown): DirectoryAnswer<"reportAccess"> {
    return answerDirectoryCall("reportAccess", argument, (report) =>
      this.#withStored(({ access }) => {
        access.report(report, Date.now());
        return null;
      }),
    );
  }

  listPendingAccess(argument: unknown): DirectoryAnswer<"listPendingAccess"> {
    return answerDirectoryCall("listPendingAccess", argument, () =>
      this.#withStored(({ access }) => access.list(Date.now())),
    );
  }

  readDrain(argument: unknown): DirectoryAnswer<"readDrain"> {
    return answerDirectoryCall("readDrain", argument, () => this.#withStored(({ drain }) => drain.read(Date.now())));
  }

  beginDrain(argument: unknown): DirectoryAnswer<"beginDrain"> {
    return answerDirectoryCall("beginDrain", argument, (command) =>
      this.#withStored(({ drain }) => drain.begin(command, Date.now())),
    );
  }

  endDrain(argument: unknown): DirectoryAnswer<"endDrain"> {
    return answerDirectoryCall("endDrain", argument, (command) =>
      this.#withStored(({ drain }) => drain.end(command, Date.now())),
    );
  }

  override async alarm(): Promise<void> {
    if (!this.#stored.ok) return void (await retryNewerSchema(this.ctx.storage));
    const { alarm, audit } = this.#stored.value;
    alarm.hasRung();
    await audit.deliver();
  }

  #withStored<T>(work: (stored: Stored) => T): Result<T, Denial> {
    return this.#stored.ok ? ok(work(this.#stored.value)) : this.#stored;
  }
}
