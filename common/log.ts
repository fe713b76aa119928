import { LOG_EVENTS, type LogEvent } from "./log-events.ts";

type LogValue = string | number | boolean | null | undefined;

/**
 * What the line of an event may carry beside `event` and `level`: the fields that `LOG_EVENTS` lists for it,
 * and nothing else. No token, header value, query or command of a user's belongs into a log.
 */
export type LogFields<Event extends LogEvent = LogEvent> = {
  readonly [Field in (typeof LOG_EVENTS)[Event]["fields"][number]]?: LogValue;
};

/**
 * Writes one line of JSON: `{"event": …, "level": …, …fields}`. Workers Logs indexes the fields, so operators
 * filter by `event` and never by prose. docs/MONITORING.md, made from `LOG_EVENTS`, says what each event
 * means and what to do.
 *
 * @param fields undefined ones are left out
 */
export function logEvent<Event extends LogEvent>(event: Event, fields?: LogFields<Event>): void {
  const { level } = LOG_EVENTS[event];
  console[level](JSON.stringify({ event, level, ...fields }));
}

/** The name and message of whatever was thrown, for a log line's `error` field. */
export function describeError(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
