/** The parameters of a question, from a query. Pure. */

import { type Parameter, placeholdersOf, type Question } from "../../audit/questions/question.ts";
import { parseJson } from "../../common/json.ts";
import { err, ok, type Result } from "../../common/result.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;
/** What `since` is by itself. */
const DEFAULT_PERIOD_MS = 7 * DAY_MS;
/** The longest time that one question is about: a longer one keeps D1 from taking events meanwhile. */
const MAX_PERIOD_DAYS = 100;
const MAX_TEXT_CHARS = 512;
const MAX_JSON_CHARS = 8_192;
/** https://developers.cloudflare.com/d1/platform/limits/ */
const MAX_PATTERN_BYTES = 50;

export type Values = Readonly<Record<string, string | number>>;

/**
 * Reads what is bound.
 *
 * @param given the query, without what every question takes
 * @param now ms since the epoch
 * @returns what is wrong, for a person
 */
export function readValues(
  question: Question,
  given: Readonly<Record<string, string>>,
  now: number,
): Result<Values, string> {
  const known = placeholdersOf(question);
  const unknown = Object.keys(given).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    const taken = known.length === 0 ? "no parameters" : known.join(", ");
    return err(`unknown query parameter ${unknown}: this question takes ${taken}`);
  }
  const values: Record<string, string | number> = {};
  for (const name of known) {
    const parameter = question.parameters[name];
    if (!parameter) return err(`the question does not describe its parameter ${name}`);
    const text = Object.hasOwn(given, name) ? given[name] : undefined;
    const value = text === undefined ? defaultOf(name, parameter, now) : parse(parameter, text);
    if (value === undefined) {
      const what = text === undefined ? "is missing" : "is not as it must be";
      return err(`query parameter ${name} ${what}: give ${HOW[parameter.type]}, such as ${parameter.example}`);
    }
    values[name] = value;
  }
  const { since, until } = values;
  if (since === undefined || until === undefined) return ok(values);
  const periodMs = Date.parse(String(until)) - Date.parse(String(since));
  if (periodMs <= 0) return err("query parameter until must be later than since");
  if (periodMs > MAX_PERIOD_DAYS * DAY_MS) return err(`a question is about ${MAX_PERIOD_DAYS} days at most`);
  return ok(values);
}

const HOW: Readonly<Record<Parameter["type"], string>> = {
  time: "a time or a day",
  zone: "an offset",
  user: "a user",
  text: "a text",
  pattern: `a pattern of LIKE, at most ${MAX_PATTERN_BYTES} bytes`,
  integer: "a whole number",
  json: "a JSON list",
};

function defaultOf(name: string, parameter: Parameter, now: number): string | number | undefined {
  if (name === "since") return new Date(now - DEFAULT_PERIOD_MS).toISOString();
  if (name === "until") return new Date(now).toISOString();
  return parameter.default;
}

/** Whether it must be given. */
export function isRequired(name: string, parameter: Parameter): boolean {
  return defaultOf(name, parameter, 0) === undefined;
}

const TIME = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d{1,3})?(?:Z|[+-]\d\d:\d\d))?$/;
const ZONE = /^[+-]\d{1,2}(?::\d\d| hours?)$/;

/** @returns undefined where the text is none of the type */
function parse({ type }: Parameter, text: string): string | number | undefined {
  switch (type) {
    case "time": {
      const at = TIME.test(text) ? Date.parse(text) : Number.NaN;
      // In this form it also compares with ids, which begin with the time.
      return Number.isNaN(at) ? undefined : new Date(at).toISOString();
    }
    case "zone":
      return ZONE.test(text) ? text : undefined;
    case "user":
      return isText(text) ? text.toLowerCase() : undefined;
    case "text":
      return isText(text) ? text : undefined;
    case "pattern":
      return isText(text) && new TextEncoder().encode(text).length <= MAX_PATTERN_BYTES ? text : undefined;
    case "integer":
      return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
    case "json":
      return text.length <= MAX_JSON_CHARS && Array.isArray(parseJson(text)) ? text : undefined;
  }
}

/** No name or command that is searched for has control characters. A link with them attacks whoever opens it. */
function isText(text: string): boolean {
  return text !== "" && text.length <= MAX_TEXT_CHARS && !/\p{Cc}/u.test(text);
}
