import { headerList } from "../../../common/header-list.ts";
import { ok } from "../../../common/result.ts";
import { printableJson } from "../../../common/text.ts";
import { type LiveRecord, readLiveRecord } from "../../../contract/live-stream.ts";
import { cutWithAccess } from "../../sessions/access-watch.ts";
import { openLiveStream } from "../../sessions/live-stream.ts";
import { LIVE_CONTENT_TYPES, type LiveRecordJson } from "../schemas/live.ts";
import { sessionJson } from "../session-json.ts";
import type { Handler } from "./handler.ts";

/** Works without D1: the directory alone is asked. It ends with the caller's role, sign-in or lock. */
export const streamLive: Handler<"streamLive"> = async (_, { env, identity, request, checkAccess }) => {
  const { headers, signal } = request;
  const opened = await openLiveStream(env.DIRECTORY, identity.name, signal);
  if (!opened.ok) return opened;
  const asEvents = headerList(headers.get("Accept")).some((range) => range.startsWith(LIVE_CONTENT_TYPES.events));
  const contentType = asEvents ? LIVE_CONTENT_TYPES.events : LIVE_CONTENT_TYPES.lines;
  const body = opened.value.body
    ?.pipeThrough(new TextDecoderStream())
    .pipeThrough(recordsOf(asEvents ? eventOf : lineOf))
    .pipeThrough(new TextEncoderStream());
  const answer = new Response(body ?? null, {
    headers: { "Content-Type": contentType, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" },
  });
  return ok(cutWithAccess(answer, checkAccess, signal));
};

/** Reads the directory's lines, and writes each as the API shows it. One that nobody understands breaks it off. */
function recordsOf(write: (record: LiveRecordJson) => string): TransformStream<string, string> {
  let rest = "";
  return new TransformStream({
    transform(piece, controller) {
      const lines = (rest + piece).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const record = readLiveRecord(line);
        if (!record.ok) throw new Error(`${record.error.code}: ${record.error.detail}`);
        controller.enqueue(write(recordJson(record.value)));
      }
    },
  });
}

function lineOf(record: LiveRecordJson): string {
  return `${printableJson(record)}\n`;
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html: the JSON is one line. */
function eventOf(record: LiveRecordJson): string {
  return `data: ${printableJson(record)}\n\n`;
}

function recordJson(record: LiveRecord): LiveRecordJson {
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
  }
}

type Counts = Extract<LiveRecord, { readonly type: "counts" }>["sessions"][number];

function countsJson({ id, active_at, waits_for, bytes_in, bytes_out, messages_in, messages_out }: Counts) {
  const lastUsedAt = new Date(active_at).toISOString();
  const counts = { bytesIn: bytes_in, bytesOut: bytes_out, messagesIn: messages_in, messagesOut: messages_out };
  return { id, lastUsedAt, waitsFor: waits_for, ...counts };
}
