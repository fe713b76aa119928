import type { LOG_EVENTS, LogEvent } from "./log-events.ts";
import { printableJson } from "./text.ts";

type LogValue = string | number | boolean | null | undefined;

/**
 * What the line of an event may carry beside `event` and `level`: the fields that `LOG_EVENTS` lists for it,
 * and nothing else. No token, header value, query or command of a user's belongs into a log.
 */
export type LogFields<Event extends LogEvent = LogEvent> = {
  readonly [Field in (typeof LOG_EVENTS)[Event]["fields"][number]]?: LogValue;
};

/** The level that `LOG_EVENTS` gives an event. */
export type LogLevel<Event extends LogEvent = LogEvent> = (typeof LOG_EVENTS)[Event]["level"];

/**
 * Writes one line of JSON: `{"event": …, "level": …, …fields}`. Workers Logs indexes the fields, so operators
 * filter by `event` and never by prose. docs/MONITORING.md, made from `LOG_EVENTS`, says what each event
 * means and what to do.
 *
 * @param level as in `LOG_EVENTS`, which the compiler checks. Repeated at the call, so that the list, most of
 *   which is prose for operators, is in neither Worker: a reworded advice must not redeploy the objects and
 *   end sessions.
 * @param fields undefined ones are left out
 */
export function logEvent<Event extends LogEvent>(
  level: LogLevel<Event>,
  event: Event,
  fields?: LogFields<Event>,
): void {
  console[level](printableJson({ event, level, ...fields }));
}

/** The name and message of whatever was thrown, for a log line's `error` field. */
export function describeError(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
