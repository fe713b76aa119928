import { refusalMessage } from "../../kubernetes/refusal-message.ts";
import { failureStatus, STATUS_CODES, type StatusReason, statusResponse } from "../../kubernetes/status.ts";

/**
 * Gives a refusal without a body a message, as a `metav1.Status`. A tunnel, a load balancer or an API server
 * that is starting may answer with a status code alone, of which kubectl would show nothing.
 *
 * @returns any other answer as it is
 */
export async function explainRefusal(response: Response): Promise<Response> {
  const { status, headers } = response;
  if (status < 400 || Number(headers.get("Content-Length") ?? 0) > 0) return response;
  const rest = await peek(response.body);
  if (rest) return new Response(rest, response);
  const explained = statusResponse(
    failureStatus({ reason: reasonOf(status), message: refusalMessage(status, ""), code: status }),
  );
  // All else that the cluster says stays: the id under which its own audit log has this, warnings, when to
  // retry.
  const kept = new Headers(headers);
  for (const name of OF_THE_BODY) kept.delete(name);
  for (const [name, value] of explained.headers) kept.set(name, value);
  return new Response(explained.body, { status, headers: kept });
}

/** What describes the body that is replaced. */
const OF_THE_BODY = [
  "Content-Encoding",
  "Content-Length",
  "Content-Type",
  "ETag",
  "Last-Modified",
  "Transfer-Encoding",
];

function reasonOf(httpStatus: number): StatusReason {
  const reasons = Object.entries(STATUS_CODES) as [StatusReason, number][];
  // Of several with one code, the last says least about the cause.
  const exact = reasons.findLast(([, code]) => code === httpStatus)?.[0];
  return exact ?? (httpStatus < 500 ? "BadRequest" : "ServiceUnavailable");
}

/**
 * Finds out whether a body has anything.
 *
 * @returns the whole body again, or undefined for an empty one
 */
async function peek(body: ReadableStream<Uint8Array> | null): Promise<ReadableStream<Uint8Array> | undefined> {
  if (!body) return undefined;
  const reader = body.getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return undefined;
    if (value.byteLength === 0) continue;
    reader.releaseLock();
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    void writer
      .write(value)
      .then(() => {
        writer.releaseLock();
        return body.pipeTo(writable);
      })
      // Either side has gone, and the other is told by its stream.
      .catch(() => {});
    return readable;
  }
}
