/**
 * What users' objects tell the directory of live sessions, and what the edge asks of it.
 *
 * There is one directory per deployment. Of sessions it only knows what it is told, and may be lost at any
 * time: the user's object stays the truth. It also holds the drain switch, see drain.ts. Nothing that a
 * session or a request needs depends on its answer.
 *
 * A report is everything that one object has to say, so a lost one is made good by the next. The directory
 * asks for the rows that it lacks. Later versions may add to a report's answer: objects that run older code
 * ignore what they do not know.
 */
import * as z from "zod";
import type { Result } from "../common/result.ts";
import { accessRequestSchema, MAX_PENDING_REQUESTS } from "./access.ts";
import type { Denial } from "./denial.ts";
import { drainSchema } from "./drain.ts";
import { liveSessionSchema } from "./session-row.ts";
import { callVersioned, parseContract, parseVersioned, refuseMismatch, versionFor, withVersion } from "./version.ts";

/** The name of the one directory object. */
export const DIRECTORY_NAME = "directory";

/** The most sessions in one report; the others are only counted. */
export const MAX_REPORTED_SESSIONS = 200;
/** The most grants that hold in one report. */
export const MAX_REPORTED_GRANTS = 50;
/** The most sessions in one page, and one more, which tells whether there is another. */
const MAX_LISTED_SESSIONS = 501;

const text = z.string();
const name = text.min(1);
const count = z.int().nonnegative();
const milliseconds = z.int();

/** What changes while a session is open. */
export const liveCountsSchema = liveSessionSchema.pick({
  active_at: true,
  bytes_in: true,
  bytes_out: true,
  messages_in: true,
  messages_out: true,
  waits_for: true,
});

const reportSchema = z.strictObject({
  /** The reporting object's id. */
  objectId: name,
  /**
   * Later than that of any earlier report of the object, ms since the epoch: calls may overtake each other.
   */
  at: milliseconds,
  /** All of the object's live sessions. */
  sessions: z
    .array(
      z.strictObject({
        id: name,
        counts: liveCountsSchema,
        /** Left out where the directory has it. */
        row: liveSessionSchema.exactOptional(),
      }),
    )
    .max(MAX_REPORTED_SESSIONS),
  /** How many more there are. */
  omitted: count,
});

/** Not strict: see above. */
const reportAnswerSchema = z.object({
  /** The sessions whose rows the directory lacks. */
  missing: z.array(name),
  /** When it wants the next report, unless a session begins or ends before. */
  nextInMs: count,
});

const liveQuerySchema = z.strictObject({
  filter: z.strictObject({
    user: text.exactOptional(),
    namespace: text.exactOptional(),
    pod: text.exactOptional(),
    kind: text.exactOptional(),
    since: milliseconds.exactOptional(),
    until: milliseconds.exactOptional(),
  }),
  limit: z.int().positive().max(MAX_LISTED_SESSIONS),
  /** Where the page before ended. */
  after: z.strictObject({ startedAt: milliseconds, id: text }).exactOptional(),
});

const livePageSchema = z.strictObject({
  /** Newest first. Long commands and lists of groups are cut, and `forwards` are left out. */
  sessions: z.array(liveSessionSchema),
  /** Whether these are all that match: after a restart some objects may not have reported yet. */
  isComplete: z.boolean(),
});

const accessReportSchema = z.strictObject({
  /** The reporting object's id. */
  objectId: name,
  /** Later than that of any earlier report, ms since the epoch. */
  at: milliseconds,
  pending: z.array(accessRequestSchema).max(MAX_PENDING_REQUESTS),
  /** The newest of those that hold, for whoever follows them. Left out where none does. Since version 7. */
  active: z.array(accessRequestSchema).max(MAX_REPORTED_GRANTS).exactOptional(),
});

/** The version of the contract that brought the newest field of a report. */
export function versionOfAccessReport({ active }: DirectoryFields<"reportAccess">): number {
  return active === undefined ? 6 : 7;
}

/** Names of events are text: the objects may know more of them than the edge. No address, and no secret. */
const webhooksSchema = z.strictObject({
  /** Why nobody is told. Places in the document, never values. */
  faults: z.array(text),
  /** Where messages lead to. */
  address: text.nullable(),
  destinations: z.array(
    z.strictObject({
      name,
      format: text,
      /** null: all. */
      events: z.array(text).nullable(),
      waiting: count,
      /** Attempts that have failed in a row. */
      failures: count,
      dropped: count,
      /** The address answered 410, and is left alone. */
      isGone: z.boolean(),
    }),
  ),
});

/** Exported for the test that pins each version of the contract. */
export const DIRECTORY_METHODS = {
  /** A user's object says which sessions are live in it. */
  report: { fields: reportSchema, value: reportAnswerSchema },
  /** The edge asks what is live. */
  listLive: { fields: liveQuerySchema, value: livePageSchema },
  /** A user's object says which requests for access wait for a decision: all that it has, and what holds. */
  reportAccess: { fields: accessReportSchema, value: z.null() },
  /** The edge asks which requests wait for a decision. */
  listPendingAccess: { fields: z.strictObject({}), value: z.array(accessRequestSchema) },
  /** The edge asks whether new sessions are refused; null where they are not. */
  readDrain: { fields: z.strictObject({}), value: drainSchema.nullable() },
  /** New sessions are refused from now on, until the given time. It takes the place of an earlier drain. */
  beginDrain: { fields: drainSchema.unwrap().omit({ since: true }), value: drainSchema },
  /** Sessions open again. Answers whether they were refused. */
  endDrain: { fields: z.strictObject({ by: name, reason: text }), value: z.boolean() },
  /** A user's object says that D1 has not accepted its events since then. */
  reportOutage: { fields: z.strictObject({ since: milliseconds }), value: z.null() },
  /** The edge asks how the objects are. */
  describeObjects: {
    fields: z.strictObject({}),
    value: z.strictObject({
      /** Cloudflare's id of the version that the directory runs; null where it is not bound. */
      version: text.nullable(),
      /** Since when D1 has not accepted the events of some object; null where none has said so lately. */
      undeliveredSince: milliseconds.nullable(),
    }),
  },
  /** The edge asks which destinations are told of events, and how the directory's own deliveries go. */
  describeWebhooks: { fields: z.strictObject({}), value: webhooksSchema },
  /** Sends a test event to each destination that wants one. Answers the event's id, and to whom. */
  testWebhooks: {
    fields: z.strictObject({ by: name }),
    value: z.strictObject({ id: name, destinations: z.array(name) }),
  },
} as const;

export type DirectoryMethod = keyof typeof DIRECTORY_METHODS;
export type DirectoryFields<M extends DirectoryMethod> = z.output<(typeof DIRECTORY_METHODS)[M]["fields"]>;
export type DirectoryValue<M extends DirectoryMethod> = z.output<(typeof DIRECTORY_METHODS)[M]["value"]>;
export type DirectoryAnswer<M extends DirectoryMethod> = Result<DirectoryValue<M>, Denial>;

export type LiveCounts = z.output<typeof liveCountsSchema>;
export type Report = DirectoryFields<"report">;
export type ReportAnswer = DirectoryValue<"report">;
export type LiveQuery = DirectoryFields<"listLive">;
export type LivePage = DirectoryValue<"listLive">;

/** The methods as they are called through a stub. Use `callDirectory`, which types them. */
export type DirectoryCalls = Readonly<Record<DirectoryMethod, (argument: unknown) => Promise<unknown>>>;

/** The namespace that has the directory, as far as it is used. */
export interface DirectoryNamespace {
  getByName(name: string): DirectoryCalls;
}

/**
 * The caller's half of a call.
 *
 * @param since the version of the contract that brought the newest of the fields
 * @returns the value; `contract_mismatch` if caller and directory do not understand each other
 * @throws what the platform throws where the directory cannot be reached, or failed
 */
export async function callDirectory<M extends DirectoryMethod>(
  namespace: DirectoryNamespace,
  method: M,
  fields: DirectoryFields<M>,
  since = 6,
): Promise<DirectoryAnswer<M>> {
  const argument = withVersion(fields, versionFor(since));
  // A new stub for each call: an exception may have broken the one before.
  const called = await callVersioned(method, () => namespace.getByName(DIRECTORY_NAME)[method](argument));
  if (!called.ok) return called;
  const parsed = parseContract(answerSchemaOf(method), called.value);
  return parsed.ok ? parsed.value : refuseMismatch(method, parsed.error.detail);
}

/**
 * The directory's half of a call.
 *
 * @param argument as it came: nothing of it is trusted before it is parsed
 * @param answer returns the value, or `object_schema_newer`
 */
export function answerDirectoryCall<M extends DirectoryMethod>(
  method: M,
  argument: unknown,
  answer: (fields: DirectoryFields<M>) => DirectoryAnswer<M>,
): DirectoryAnswer<M> {
  const schema = DIRECTORY_METHODS[method].fields as unknown as z.ZodType<DirectoryFields<M>>;
  const fields = parseVersioned(schema, argument);
  return fields.ok ? answer(fields.value) : refuseMismatch(method, fields.error.detail);
}

function answerSchemaOf<M extends DirectoryMethod>(method: M): z.ZodType<DirectoryAnswer<M>> {
  return z.discriminatedUnion("ok", [
    z.strictObject({ ok: z.literal(true), value: DIRECTORY_METHODS[method].value }),
    z.strictObject({
      ok: z.literal(false),
      error: z.strictObject({ code: z.enum(["contract_mismatch", "object_schema_newer"]), message: text }),
    }),
  ]) as unknown as z.ZodType<DirectoryAnswer<M>>;
}
