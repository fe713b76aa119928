import { isReadMethod } from "../methods.ts";
import type { RequestTrace } from "./request-trace.ts";

/** After its client has gone, an invocation has 30 s at most. Some of them are for writing the row. */
const RECORD_WITHIN_MS = 15_000;

/**
 * Records a request once its answer is there.
 *
 * A client that sends a write and hangs up ends this invocation, but not the cluster's work. So a write is
 * recorded even if it is abandoned, or if its answer takes long. An abandoned read has shown nobody anything.
 *
 * @param answering the answer; it never rejects
 * @param record writes the row, with the answer's HTTP status, or 0 where there is none yet
 */
export async function recordAnswer(
  { method }: Request,
  trace: RequestTrace,
  answering: Promise<Response>,
  record: (status: number) => void,
  context: Pick<ExecutionContext, "waitUntil">,
): Promise<Response> {
  if (isReadMethod(method)) {
    const response = await answering;
    record(response.status);
    return response;
  }
  const answered = recordInTime(trace, answering, record);
  context.waitUntil(answered);
  return answered;
}

async function recordInTime(
  trace: RequestTrace,
  answering: Promise<Response>,
  record: (status: number) => void,
): Promise<Response> {
  let isRecorded = false;
  const timer = setTimeout(() => {
    if (trace.destination !== "cluster") return;
    trace.failure = "the cluster had not answered yet when this row was written";
    isRecorded = true;
    record(0);
  }, RECORD_WITHIN_MS);
  const response = await answering;
  clearTimeout(timer);
  if (!isRecorded) record(response.status);
  return response;
}
