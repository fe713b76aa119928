import { LOG_EVENTS, type LogEvent } from "./log-events.ts";

/** What a log line may carry beside its event: no token, header value, query, command or stack of a user's. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/**
 * Writes one line of JSON: `{"event": …, "level": …, …fields}`. Workers Logs indexes the fields, so operators filter by
 * `event` and never by prose. What each event means, and what to do, is in docs/MONITORING.md, made from `LOG_EVENTS`.
 *
 * @param fields undefined ones are left out
 */
export function logEvent(event: LogEvent, fields: LogFields = {}): void {
  const { level } = LOG_EVENTS[event];
  console[level](JSON.stringify({ event, level, ...fields }));
}

/** The message of whatever was thrown, for a log line's `error` field. */
export function describeError(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
