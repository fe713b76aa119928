/**
 * How the edge asks the directory to tell what is live, and then what changes: by `fetch()`, because its answer
 * is a stream. What is live is sessions, or requests for access. The edge has checked who asks, and passes on
 * what they may see.
 *
 * The answer has a record per line: at first all that is live, then what changes.
 */
import * as z from "zod";
import { err, ok, type Result } from "../common/result.ts";
import { accessRequestSchema } from "./access.ts";
import { DENIALS, type Denial, type DenialCode } from "./denial.ts";
import { liveCountsSchema } from "./directory.ts";
import { liveSessionSchema } from "./session-row.ts";
import {
  type ContractMismatch,
  contractMismatch,
  packVersioned,
  parseContract,
  unpackVersioned,
  versionFor,
} from "./version.ts";

const name = z.string().min(1);

export const liveRequestSchema = z
  .strictObject({
    /** The Access identity of who asks: each may have a few streams. */
    by: name,
    /** Requests for access, in place of sessions. Since version 7. */
    of: z.literal("access").exactOptional(),
  })
  .readonly();
export type LiveRequest = z.output<typeof liveRequestSchema>;

/** The version of the contract that brought the newest field of a request. */
function versionOfLiveRequest({ of }: LiveRequest): number {
  return of === undefined ? 6 : 7;
}

export const liveRecordSchema = z.discriminatedUnion("type", [
  /** The first record, and again when it has changed. */
  z.strictObject({
    type: z.literal("summary"),
    /** Whether all users' objects have reported since the directory's last restart. */
    isComplete: z.boolean(),
    /** How many live sessions are not told of: the oldest. */
    omitted: z.int().nonnegative(),
  }),
  /** These are live. Long commands and lists of groups are cut, and `forwards` are left out. */
  z.strictObject({ type: z.literal("sessions"), sessions: z.array(liveSessionSchema) }),
  /** These were told before, and have been used. */
  z.strictObject({ type: z.literal("counts"), sessions: z.array(liveCountsSchema.extend({ id: name })) }),
  /** These are not live any more. */
  z.strictObject({ type: z.literal("ended"), ids: z.array(name) }),
  /** These wait for a decision, or hold: the first record, of all of them, and then what is new or has changed. */
  z.strictObject({ type: z.literal("access"), requests: z.array(accessRequestSchema) }),
  /** These were told before, and neither wait nor hold any more. */
  z.strictObject({ type: z.literal("access_over"), ids: z.array(name) }),
  /** Nothing has changed for a while. */
  z.strictObject({ type: z.literal("alive") }),
]);
export type LiveRecord = z.output<typeof liveRecordSchema>;

/** What the directory refuses a stream with. */
export const liveRefusalSchema = z.strictObject({
  live: z.literal("refused"),
  code: z.enum(Object.keys(DENIALS) as DenialCode[]),
  message: z.string(),
});

const LIVE_HEADER = "Sallyport-Live";

/** Makes the headers of the request. */
export function liveHeaders(request: LiveRequest): Headers {
  return new Headers({ [LIVE_HEADER]: packVersioned(request, versionFor(versionOfLiveRequest(request))) });
}

/** Reads what `liveHeaders` made. @param acceptedVersions only tests pass their own */
export function readLiveRequest(
  { headers }: Pick<Request, "headers">,
  acceptedVersions?: readonly number[],
): Result<LiveRequest, ContractMismatch> {
  return unpackVersioned(
    "the request for what is live",
    liveRequestSchema,
    headers.get(LIVE_HEADER) ?? "",
    acceptedVersions,
  );
}

/** Makes the directory's refusal. */
export function refuseLive({ code, message }: Denial): Response {
  return Response.json({ live: "refused", code, message }, { status: 400 });
}

/** Reads the directory's answer. @returns the response with the stream, or why the directory refused */
export async function readLiveAnswer(response: Response): Promise<Result<Response, Denial>> {
  if (response.ok) return ok(response);
  const refusal = parseContract(liveRefusalSchema, await response.json().catch(() => undefined));
  if (refusal.ok) return err({ code: refusal.value.code, message: refusal.value.message });
  const { code, message } = refusal.error;
  return err({ code, message });
}

/** Reads a line of the stream. */
export function readLiveRecord(line: string): Result<LiveRecord, ContractMismatch> {
  let unpacked: unknown;
  try {
    unpacked = JSON.parse(line);
  } catch {
    return err(contractMismatch("a line of what is live is not JSON"));
  }
  return parseContract(liveRecordSchema, unpacked);
}
