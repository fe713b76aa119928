import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { badRequest } from "../api/status.ts";
import { isTrue } from "../auth/request-info.ts";
import type { ContainerLog } from "../pods/container-log.ts";
import type { Kubelet } from "../pods/kubelet.ts";
import type { SessionTarget } from "./remote-command.ts";

const NEWLINE = 0x0a;

/** @returns the requested log; throws 400 with the kubelet's message if there is none */
export function requestedLog(
  { pod, container }: SessionTarget,
  query: URLSearchParams,
  kubelet: Kubelet,
): ContainerLog {
  const worker = kubelet.worker(pod);
  const which = `container "${container.name}" in pod "${pod.metadata.name}"`;
  if (isTrue(query.get("previous"))) {
    const previous = worker?.previousRun(container.name);
    if (previous === undefined) throw badRequest(`previous terminated ${which} not found`);
    return previous.log;
  }
  const run = worker?.run(container.name);
  if (run === undefined) throw badRequest(`${which} is waiting to start: ContainerCreating`);
  return run.log;
}

/**
 * Writes the log according to the query (`tailLines`, `sinceSeconds`, `sinceTime`, `timestamps`,
 * `limitBytes`, `follow`).
 */
export async function writeLog(log: ContainerLog, query: URLSearchParams, response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const follow = isTrue(query.get("follow"));
  const withTimes = isTrue(query.get("timestamps"));
  let left = Number(query.get("limitBytes") ?? Number.POSITIVE_INFINITY);
  let position = startPosition(log, query);
  let atLineStart = true;

  response.writeHead(200, { "content-type": "text/plain" });
  response.flushHeaders();
  while (!gone.signal.aborted && left > 0) {
    const chunk = log.read(position);
    if (chunk === undefined) {
      if (!follow || log.finished) break;
      await log.changed(gone.signal);
      continue;
    }
    position = chunk.next;
    const text = withTimes ? withTimestamps(chunk.bytes, chunk.time, atLineStart) : chunk.bytes;
    atLineStart = chunk.bytes.at(-1) === NEWLINE;
    const shown = text.subarray(0, left);
    left -= shown.length;
    if (!response.write(shown)) await once(response, "drain", { signal: gone.signal }).catch(() => undefined);
  }
  response.end();
}

function startPosition(log: ContainerLog, query: URLSearchParams): number {
  const number = (name: string): number | undefined => {
    const value = query.get(name);
    if (value === null) return undefined;
    if (!/^\d+$/.test(value)) throw badRequest(`invalid ${name}: ${JSON.stringify(value)}`);
    return Number(value);
  };
  const [tail, seconds] = [number("tailLines"), number("sinceSeconds")];
  const time = query.get("sinceTime");
  let since = time === null ? 0 : Date.parse(time);
  if (seconds !== undefined) since = Date.now() - seconds * 1000;
  return Math.max(tail === undefined ? 0 : log.tailPosition(tail), log.timePosition(since));
}

function withTimestamps(bytes: Buffer, time: number, atLineStart: boolean): Buffer {
  const stamp = Buffer.from(`${new Date(time).toISOString().replace("Z", "000000Z")} `);
  const parts: Buffer[] = [];
  let isStart = atLineStart;
  for (let at = 0; at < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, at);
    const end = newline === -1 ? bytes.length : newline + 1;
    parts.push(...(isStart ? [stamp] : []), bytes.subarray(at, end));
    isStart = true;
    at = end;
  }
  return Buffer.concat(parts);
}
