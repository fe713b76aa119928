/** The table of log events in docs/MONITORING.md, rendered from `common/log-events.ts`. Pure. */
import { LOG_EVENTS } from "../../common/log-events.ts";
import { markdownTable } from "../markdown.ts";

const HEAD = ["event", "level", "Worker", "fields", "meaning", "what to do"];

/** Renders one row per event, in the order of `LOG_EVENTS`. */
export function logEventsTable(): string {
  const rows = Object.entries(LOG_EVENTS).map(([event, { level, worker, fields, meaning, action }]) => [
    `\`${event}\``,
    level,
    worker,
    fields.map((field) => `\`${field}\``).join(", "),
    meaning,
    action,
  ]);
  return markdownTable(HEAD, rows);
}
