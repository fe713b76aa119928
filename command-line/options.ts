/** Options of a command: declared once, for parsing as well as for help. */
import { err, ok, type Result } from "../common/result.ts";

/** One option, or a positional argument. `T` is the type of its value. */
export interface Option<T> {
  /** What stands for the value in help, such as FILE. Undefined for a flag, which takes none. */
  readonly placeholder?: string;
  readonly description: string;
  /** For help: what applies without the option. */
  readonly defaultText?: string;
  /** For help: the option may be given several times. */
  readonly isRepeatable?: boolean;
  /** For help: the command does not run without it. */
  readonly isRequired?: boolean;
  /**
   * Turns what was given into a value.
   *
   * @param given each value in order; empty without the option
   * @returns the value, or what is wrong with it, to stand behind the option's name
   */
  readonly read: (given: readonly string[]) => Result<T, string>;
}

export type Options = Readonly<Record<string, Option<unknown>>>;

export type ValuesOf<O extends Options> = { readonly [Name in keyof O]: O[Name] extends Option<infer T> ? T : never };

/** An option without a value. */
export function flag(description: string): Option<boolean> {
  return { description, read: (given) => ok(given.length > 0) };
}

/** An optional text. */
export function text(placeholder: string, description: string): Option<string | undefined> {
  return { placeholder, description, read: (given) => ok(given.at(-1)) };
}

/** A text that has a default. */
export function textWithDefault(placeholder: string, description: string, defaultText: string): Option<string> {
  return { placeholder, description, defaultText, read: (given) => ok(given.at(-1) ?? defaultText) };
}

/** A text that the command cannot do without. */
export function requiredText(placeholder: string, description: string): Option<string> {
  return {
    placeholder,
    description,
    isRequired: true,
    read: (given) => {
      const value = given.at(-1);
      return value === undefined ? err("is required") : ok(value);
    },
  };
}

/** A text that may be given several times. */
export function texts(placeholder: string, description: string): Option<readonly string[]> {
  return { placeholder, description, isRepeatable: true, read: (given) => ok(given) };
}

/**
 * A text of a certain form.
 *
 * @param parse returns the value, or what the text must be
 * @param defaultText parsed like what was given; without it the option may be left out
 */
export function parsed<T>(
  placeholder: string,
  description: string,
  parse: (text: string) => Result<T, string>,
  defaultText: string,
): Option<T>;
export function parsed<T>(
  placeholder: string,
  description: string,
  parse: (text: string) => Result<T, string>,
): Option<T | undefined>;
export function parsed<T>(
  placeholder: string,
  description: string,
  parse: (text: string) => Result<T, string>,
  defaultText?: string,
): Option<T | undefined> {
  return {
    placeholder,
    description,
    ...(defaultText !== undefined && { defaultText }),
    read: (given) => {
      const value = given.at(-1) ?? defaultText;
      if (value === undefined) return ok(undefined);
      const result = parse(value);
      return result.ok ? result : err(`${value} ${result.error}`);
    },
  };
}

/** The same for a text that the command cannot do without. See {@link parsed}. */
export function requiredParsed<T>(
  placeholder: string,
  description: string,
  parse: (text: string) => Result<T, string>,
): Option<T> {
  return {
    placeholder,
    description,
    isRequired: true,
    read: (given) => {
      const value = given.at(-1);
      if (value === undefined) return err("is required");
      const result = parse(value);
      return result.ok ? result : err(`${value} ${result.error}`);
    },
  };
}

/** Every parsed value of an option that may be given several times. See {@link parsed}. */
export function parsedTexts<T>(
  placeholder: string,
  description: string,
  parse: (text: string) => Result<T, string>,
): Option<readonly T[]> {
  return {
    placeholder,
    description,
    isRepeatable: true,
    read: (given) => {
      const values: T[] = [];
      for (const each of given) {
        const result = parse(each);
        if (!result.ok) return err(`${each} ${result.error}`);
        values.push(result.value);
      }
      return ok(values);
    },
  };
}

/** A parser of numbers within bounds, both included. */
export function numberBetween(
  least: number,
  most: number,
  { isWhole = true } = {},
): (text: string) => Result<number, string> {
  return (given) => {
    const value = Number(given);
    const isValid = given.trim() !== "" && value >= least && value <= most && (!isWhole || Number.isInteger(value));
    return isValid ? ok(value) : err(`must be a ${isWhole ? "whole " : ""}number from ${least} to ${most}`);
  };
}

/** A parser of one of several words. */
export function oneOf<T extends string>(...words: readonly T[]): (text: string) => Result<T, string> {
  return (given) => {
    const found = words.find((word) => word === given);
    return found === undefined ? err(`must be ${words.join(" or ")}`) : ok(found);
  };
}

/** A parser of `NAME=VALUE`. */
export function nameAndValue(given: string): Result<readonly [name: string, value: string], string> {
  const at = given.indexOf("=");
  return at < 1 ? err("must look like NAME=VALUE") : ok([given.slice(0, at), given.slice(at + 1)]);
}

/** A parser of a list in one value. */
export function commaSeparated(given: string): Result<readonly string[], string> {
  return ok(given.split(",").filter((each) => each !== ""));
}

const UNITS = { s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** A parser of durations such as `90s`, `30m` or `2h`. @returns milliseconds */
export function duration(given: string): Result<number, string> {
  const [, amount, unit] = /^(\d{1,5})([smh])$/.exec(given) ?? [];
  return amount === undefined
    ? err("must look like 90s, 30m or 2h")
    : ok(Number(amount) * UNITS[unit as keyof typeof UNITS]);
}

/** A parser of durations within bounds, both included and written as durations. See {@link duration}. */
export function durationBetween(least: string, most: string): (text: string) => Result<number, string> {
  const [leastMs, mostMs] = [least, most].map(duration).map((each) => (each.ok ? each.value : Number.NaN));
  return (given) => {
    const parsed = duration(given);
    if (!parsed.ok) return parsed;
    const isWithin = leastMs !== undefined && mostMs !== undefined && parsed.value >= leastMs && parsed.value <= mostMs;
    return isWithin ? parsed : err(`must be from ${least} to ${most}`);
  };
}
