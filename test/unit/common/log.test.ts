import { afterEach, beforeEach, describe, expect, it, type MockInstance, vi } from "vitest";
import { describeError, logEvent } from "../../../common/log.ts";
import { LOG_EVENTS, type LogEvent } from "../../../common/log-events.ts";

const LEVELS = ["log", "warn", "error"] as const;
const written = {} as Record<(typeof LEVELS)[number], MockInstance<(line: string) => void>>;

beforeEach(() => {
  for (const level of LEVELS) written[level] = vi.spyOn(console, level).mockImplementation(() => {});
});
afterEach(() => void vi.restoreAllMocks());

/** What was written: level of the console and text of each line. */
function lines(): [level: string, text: string][] {
  return LEVELS.flatMap((level) => written[level].mock.calls.map(([text]): [string, string] => [level, text]));
}

describe("a log line", () => {
  it("is one JSON object with the event, its level and the fields", () => {
    logEvent("error", "export_failed", { table: "events", rows: 0, objects: 2, error: "R2 is away" });
    expect(lines()).toEqual([
      ["error", '{"event":"export_failed","level":"error","table":"events","rows":0,"objects":2,"error":"R2 is away"}'],
    ]);
  });

  it("stays one line whatever a field contains", () => {
    logEvent("error", "internal_error", { error: 'a\nb\r\n"c"', stack: "at x\n    at y" });
    const [[, text] = ["", ""]] = lines();
    expect(text).not.toMatch(/[\r\n]/);
    expect(JSON.parse(text)).toMatchObject({ error: 'a\nb\r\n"c"', stack: "at x\n    at y" });
  });

  it("leaves out fields that are undefined, and keeps those that are null, false or 0", () => {
    logEvent("error", "internal_error", { ray: undefined, error: null, stack: "" });
    expect(JSON.parse(lines()[0]?.[1] ?? "")).toEqual({
      event: "internal_error",
      level: "error",
      error: null,
      stack: "",
    });
  });

  it("needs no fields", () => {
    logEvent("log", "export_without_bucket");
    expect(lines()).toEqual([["log", '{"event":"export_without_bucket","level":"log"}']]);
  });

  it.each(Object.entries(LOG_EVENTS))("%s goes to the console method of its level", (event, { level }) => {
    logEvent(level, event as LogEvent);
    expect(lines().map(([method, text]) => [method, JSON.parse(text)])).toEqual([[level, { event, level }]]);
  });
});

describe("the list of events", () => {
  it.each(Object.entries(LOG_EVENTS))(
    "%s has a name, fields and prose that the docs and alerts can use",
    (event, each) => {
      expect(event).toMatch(/^[a-z]+(_[a-z0-9]+)+$/);
      for (const field of each.fields) expect(field).toMatch(/^[a-z]+(_[a-z]+)*$/);
      expect(each.fields).not.toContain("event");
      expect(each.fields).not.toContain("level");
      expect(each.meaning).toMatch(/\.$/);
      expect(each.action).toMatch(/\.$/);
    },
  );
});

describe("the description of what was thrown", () => {
  it.each([
    [new TypeError("x is undefined"), "TypeError: x is undefined"],
    [new DOMException("aborted", "AbortError"), "AbortError: aborted"],
    ["text", "text"],
    [undefined, "undefined"],
    [{ code: 7 }, "[object Object]"],
  ])("%s", (thrown, description) => {
    expect(describeError(thrown)).toBe(description);
  });
});
