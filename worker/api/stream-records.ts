/** The directory's streams as the API sends them: a record per line, or per event. */
import { headerList } from "../../common/header-list.ts";
import { printableJson } from "../../common/text.ts";
import { type LiveRecord, readLiveRecord } from "../../contract/live-stream.ts";
import { type CheckAccess, cutWithAccess } from "../sessions/access-watch.ts";
import type { ApiContext } from "./request.ts";
import { STREAM_CONTENT_TYPES } from "./schemas/live.ts";

/**
 * Makes the answer of what the directory tells. A record that nobody understands breaks it off.
 *
 * @param show a record as the API shows it; undefined for one that the reader may not see
 * @param checkAccess breaks it off once it refuses
 */
export function streamRecords(
  told: Response,
  { headers, signal }: ApiContext["request"],
  show: (record: LiveRecord) => object | undefined,
  checkAccess: CheckAccess,
): Response {
  const asEvents = headerList(headers.get("Accept")).some((range) => range.startsWith(STREAM_CONTENT_TYPES.events));
  const body = told.body
    ?.pipeThrough(new TextDecoderStream())
    .pipeThrough(recordsOf(show, asEvents ? eventOf : lineOf))
    .pipeThrough(new TextEncoderStream());
  const answer = new Response(body ?? null, {
    headers: {
      "Content-Type": asEvents ? STREAM_CONTENT_TYPES.events : STREAM_CONTENT_TYPES.lines,
      "Cache-Control": "no-store",
      "X-Content-Type-Options": "nosniff",
    },
  });
  return cutWithAccess(answer, checkAccess, signal);
}

function recordsOf(
  show: (record: LiveRecord) => object | undefined,
  write: (shown: object) => string,
): TransformStream<string, string> {
  let rest = "";
  return new TransformStream({
    transform(piece, controller) {
      const lines = (rest + piece).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const record = readLiveRecord(line);
        if (!record.ok) throw new Error(`${record.error.code}: ${record.error.detail}`);
        const shown = show(record.value);
        if (shown) controller.enqueue(write(shown));
      }
    },
  });
}

function lineOf(record: object): string {
  return `${printableJson(record)}\n`;
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html: the JSON is one line. */
function eventOf(record: object): string {
  return `data: ${printableJson(record)}\n\n`;
}
