import { DurableObject } from "cloudflare:workers";
import { ok, type Result } from "../../common/result.ts";
import type { Denial } from "../../contract/denial.ts";
import { answerDirectoryCall, type DirectoryAnswer } from "../../contract/directory.ts";
import { readLiveRequest, refuseLive } from "../../contract/live-stream.ts";
import { Alarm } from "../alarm.ts";
import { AuditLog } from "../audit-log.ts";
import type { ObjectsBindings } from "../bindings.ts";
import { makeEventId } from "../event-id.ts";
import { DatabaseOutage, OutageReporter } from "../notifications/database-outage.ts";
import { makeNotifier } from "../notifications/make-notifier.ts";
import type { Notifier } from "../notifications/notifier.ts";
import { type ReadWebhooks, readWebhooks } from "../notifications/read-webhooks.ts";
import { openStorage, retryNewerSchema } from "../storage/open-storage.ts";
import { DrainSwitch } from "./drain-switch.ts";
import { LiveDirectory } from "./live-directory.ts";
import { LiveStreams } from "./live-streams.ts";
import { OpenAccess } from "./open-access.ts";
import { ToldAccess, ToldSessions } from "./tellers.ts";

/** Of auditors, and of everybody who looks at approvals. What each may leave unread is in memory. */
const MAX_SESSION_STREAMS = 50;
const MAX_ACCESS_STREAMS = 200;

/**
 * What needs the database: not what is live, which is known while a newer build's database cannot be read.
 */
interface Stored {
  readonly alarm: Alarm;
  readonly audit: AuditLog;
  readonly drain: DrainSwitch;
  readonly access: OpenAccess;
  readonly accessStreams: LiveStreams;
  readonly notifier: Notifier;
  readonly outage: DatabaseOutage;
}

/**
 * The Durable Object that knows what is live in the whole deployment, holds the drain switch, lists the
 * requests for access that wait for a decision, and notices when D1 is away. There is one: `DIRECTORY_NAME`.
 *
 * contract/directory.ts describes its methods. Nothing that a session or a request needs depends on their
 * answers.
 */
export class Directory extends DurableObject<ObjectsBindings> {
  readonly #live = new LiveDirectory(Date.now());
  readonly #streams = new LiveStreams({
    told: new ToldSessions({
      list: (limit, now) => this.#live.list({ filter: {}, limit }, now),
      count: () => this.#live.load.sessions,
    }),
    what: "live sessions",
    maxStreams: MAX_SESSION_STREAMS,
    now: () => Date.now(),
  });
  /** The schema is that of users' objects, for the journal and its way to D1 are theirs. */
  readonly #stored: Result<Stored, Denial>;
  readonly #webhooks: ReadWebhooks;

  constructor(ctx: DurableObjectState, env: ObjectsBindings) {
    super(ctx, env);
    this.#webhooks = readWebhooks(env.SALLYPORT_WEBHOOKS);
    this.#stored = openStorage(ctx.storage, () => {
      const alarm = new Alarm(ctx.storage);
      const notifier = makeNotifier(ctx, alarm, this.#webhooks.webhooks);
      const outage = new DatabaseOutage(ctx, alarm, notifier);
      const outages = new OutageReporter(async (since) => outage.report(since, Date.now()));
      const audit = new AuditLog(ctx, alarm, env.AUDIT_DB, {
        written: (id, at, event) => notifier.notify(id, at, event),
        notDelivered: (oldestAt, now) => outages.notDelivered(oldestAt, now),
      });
      const { sql } = ctx.storage;
      const [drain, access] = [new DrainSwitch(sql, audit), new OpenAccess(sql)];
      const accessStreams = new LiveStreams({
        told: new ToldAccess((now) => access.listOpen(now)),
        what: "requests for access",
        maxStreams: MAX_ACCESS_STREAMS,
        now: () => Date.now(),
      });
      return { alarm, audit, drain, access, accessStreams, notifier, outage };
    });
  }

  /** Tells the edge what is live, and then what changes: see contract/live-stream.ts. */
  override async fetch(request: Request): Promise<Response> {
    const asked = readLiveRequest(request);
    if (!asked.ok) return refuseLive(asked.error);
    if (asked.value.of === undefined) return this.#streams.open(asked.value, request.signal);
    const stored = this.#stored;
    return stored.ok ? stored.value.accessStreams.open(asked.value, request.signal) : refuseLive(stored.error);
  }

  report(argument: unknown): DirectoryAnswer<"report"> {
    return answerDirectoryCall("report", argument, (report) => {
      const answer = this.#live.report(report, Date.now());
      this.#streams.changed();
      return ok(answer);
    });
  }

  listLive(argument: unknown): DirectoryAnswer<"listLive"> {
    return answerDirectoryCall("listLive", argument, (query) => ok(this.#live.list(query, Date.now())));
  }

  reportAccess(argument: unknown): DirectoryAnswer<"reportAccess"> {
    return answerDirectoryCall("reportAccess", argument, (report) =>
      this.#withStored(({ access, accessStreams }) => {
        access.report(report, Date.now());
        accessStreams.changed();
        return null;
      }),
    );
  }

  listPendingAccess(argument: unknown): DirectoryAnswer<"listPendingAccess"> {
    return answerDirectoryCall("listPendingAccess", argument, () =>
      this.#withStored(({ access }) => access.listPending(Date.now())),
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

  reportOutage(argument: unknown): DirectoryAnswer<"reportOutage"> {
    return answerDirectoryCall("reportOutage", argument, ({ since }) =>
      this.#withStored(({ outage }) => {
        outage.report(since, Date.now());
        return null;
      }),
    );
  }

  describeObjects(argument: unknown): DirectoryAnswer<"describeObjects"> {
    return answerDirectoryCall("describeObjects", argument, () =>
      this.#withStored(({ outage }) => ({ version: this.env.VERSION?.id ?? null, undeliveredSince: outage.since })),
    );
  }

  describeWebhooks(argument: unknown): DirectoryAnswer<"describeWebhooks"> {
    return answerDirectoryCall("describeWebhooks", argument, () =>
      this.#withStored(({ notifier }) => ({
        faults: [...this.#webhooks.faults],
        address: this.#webhooks.webhooks.address ?? null,
        destinations: notifier.describe(),
      })),
    );
  }

  testWebhooks(argument: unknown): DirectoryAnswer<"testWebhooks"> {
    return answerDirectoryCall("testWebhooks", argument, ({ by }) =>
      this.#withStored(({ notifier }) => {
        const now = Date.now();
        const id = makeEventId(this.ctx.id, now);
        return { id, destinations: notifier.notify(id, now, { type: "test", data: { by } }) };
      }),
    );
  }

  override async alarm(): Promise<void> {
    if (!this.#stored.ok) return void (await retryNewerSchema(this.ctx.storage));
    const { alarm, audit, notifier, outage } = this.#stored.value;
    alarm.hasRung();
    outage.onAlarm(Date.now());
    notifier.onAlarm();
    await audit.deliver();
  }

  #withStored<T>(work: (stored: Stored) => T): Result<T, Denial> {
    return this.#stored.ok ? ok(work(this.#stored.value)) : this.#stored;
  }
}
