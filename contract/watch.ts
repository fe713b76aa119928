/**
 * How the edge asks a user's object to show a live session: by `fetch()`, because its answer is a stream. The
 * edge has checked the watcher's role.
 */
import * as z from "zod";
import { err, ok, type Result } from "../common/result.ts";
import { DENIALS, type Denial, type DenialCode } from "./denial.ts";
import {
  type ContractMismatch,
  contractMismatch,
  packVersioned,
  parseContract,
  unpackVersioned,
  versionFor,
} from "./version.ts";

const text = z.string();
const name = text.min(1);

export const watchSchema = z
  .strictObject({
    sessionId: name,
    watcher: z
      .strictObject({
        /** The Access identity, as it is in the audit log. */
        name,
        address: text.nullable(),
        country: text.nullable(),
        /**
         * By which names it can be told whether they watch themselves. null for who never counts as somebody
         * that a session needs: a service token.
         */
        person: z
          .strictObject({ subject: name.nullable(), kubernetesUsers: z.array(name).readonly() })
          .readonly()
          .nullable(),
      })
      .readonly(),
  })
  .readonly();

/** Who wants to watch which session. */
export type WatchRequest = z.output<typeof watchSchema>;

/** What an object refuses a watch with. */
export const watchRefusalSchema = z
  .strictObject({
    watch: z.literal("refused"),
    code: z.enum(Object.keys(DENIALS) as DenialCode[]),
    message: text,
  })
  .readonly();

/** The WebSocket subprotocol of live casts: each message is a line of an asciicast v2. */
export const CAST_SUBPROTOCOL = "v2.asciicast";
/** asciinema-player drops what it has buffered once the connection closes: how the session ended. */
export const WATCH_LINGER_MS = 1_000;
/** A watcher has nothing to say. Each message costs a turn of whoever holds the socket: a flood is cut off. */
export const MAX_WATCHER_MESSAGES = 100;
export const TOO_MANY_MESSAGES = "a watcher sends nothing";

const WATCH_HEADER = "Sallyport-Watch";

/**
 * Makes the headers of the request.
 *
 * An earlier edge passed its watcher's `Upgrade` on and the object's WebSocket back. Objects still answer it.
 */
export function watchHeaders(watch: WatchRequest): Headers {
  return new Headers({ [WATCH_HEADER]: packVersioned(watch, versionFor(5)) });
}

/** Whether a request asks for a watch, and not for a session. */
export function isWatchRequest({ headers }: Pick<Request, "headers">): boolean {
  return headers.has(WATCH_HEADER);
}

/** Reads what `watchHeaders` made. @param acceptedVersions only tests pass their own */
export function readWatchRequest(
  { headers }: Pick<Request, "headers">,
  acceptedVersions?: readonly number[],
): Result<WatchRequest, ContractMismatch> {
  return unpackVersioned("the watch request", watchSchema, headers.get(WATCH_HEADER) ?? "", acceptedVersions);
}

/** Makes an object's refusal of a watch. */
export function refuseWatch({ code, message }: Denial): Response {
  return Response.json({ watch: "refused", code, message }, { status: 400 });
}

/**
 * Reads an object's answer.
 *
 * @returns the WebSocket's or stream's response; why the object refused; `contract_mismatch` where it runs
 *   older code, which takes the request for a session's
 */
export async function readWatchAnswer(response: Response): Promise<Result<Response, Denial>> {
  if (response.status === 101 || response.ok) return ok(response);
  const body = await response.json().catch(() => undefined);
  const refusal = parseContract(watchRefusalSchema, body);
  if (refusal.ok) return err({ code: refusal.value.code, message: refusal.value.message });
  const { code } = contractMismatch(refusal.error.detail);
  return err({ code, message: OLDER_OBJECT });
}

const OLDER_OBJECT =
  "the session is held by an earlier version of Sallyport, which cannot show it live: its recording has the " +
  "session so far, and sessions that open from now on can be watched";
