import { ok } from "../../../common/result.ts";
import type { LiveRecord } from "../../../contract/live-stream.ts";
import { openLiveStream } from "../../sessions/live-stream.ts";
import type { LiveRecordJson } from "../schemas/live.ts";
import { sessionJson } from "../session-json.ts";
import { streamRecords } from "../stream-records.ts";
import type { Handler } from "./handler.ts";

/** Works without D1: the directory alone is asked. It ends with the caller's role, sign-in or lock. */
export const streamLive: Handler<"streamLive"> = async (_, { env, identity, request, checkAccess }) => {
  const opened = await openLiveStream(env.DIRECTORY, { by: identity.name }, request.signal);
  return opened.ok ? ok(streamRecords(opened.value, request, recordJson, checkAccess)) : opened;
};

function recordJson(record: LiveRecord): LiveRecordJson | undefined {
  switch (record.type) {
    case "summary":
      return { type: "summary", complete: record.isComplete, omitted: record.omitted };
    case "sessions":
      return { type: "sessions", sessions: record.sessions.map(sessionJson) };
    case "counts":
      return { type: "counts", sessions: record.sessions.map(countsJson) };
    case "ended":
    case "alive":
      return record;
    default:
      return undefined;
  }
}

type Counts = Extract<LiveRecord, { readonly type: "counts" }>["sessions"][number];

function countsJson({ id, active_at, waits_for, bytes_in, bytes_out, messages_in, messages_out }: Counts) {
  const lastUsedAt = new Date(active_at).toISOString();
  const counts = { bytesIn: bytes_in, bytesOut: bytes_out, messagesIn: messages_in, messagesOut: messages_out };
  return { id, lastUsedAt, waitsFor: waits_for, ...counts };
}
