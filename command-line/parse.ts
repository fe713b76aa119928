/** Parses a command's arguments. Pure. */
import { parseArgs } from "node:util";
import { err, ok, type Result } from "../common/result.ts";
import type { Option, Options, ValuesOf } from "./options.ts";

export interface Syntax<O extends Options, P extends Options> {
  readonly options: O;
  /** Arguments without a name, in the order in which they are given. */
  readonly positionals: P;
}

/**
 * Parses the arguments that follow a command's name. `--help` and `-h` belong to every command and win over
 * any mistake.
 *
 * @returns the values, or for the person who typed it what is wrong
 */
export function parseArguments<O extends Options, P extends Options>(
  args: readonly string[],
  { options, positionals }: Syntax<O, P>,
): "help" | Result<ValuesOf<O & P>, string> {
  const tokens = tokensOf(args, options);
  if (tokens.some((token) => token.kind === "option" && token.name === "help")) return "help";
  const given = new Map<string, readonly string[]>();
  const unnamed: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") unnamed.push(token.value);
    if (token.kind !== "option") continue;
    const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
    if (!option || !token.rawName.startsWith("--")) return err(`unknown option ${token.rawName}`);
    const fault = faultOf(token, option);
    if (fault !== undefined) return err(`${token.rawName} ${fault}`);
    given.set(token.name, [...(given.get(token.name) ?? []), token.value ?? ""]);
  }
  for (const [index, value] of unnamed.entries()) {
    const name = Object.keys(positionals)[index];
    if (name === undefined) return err(`unexpected argument ${JSON.stringify(value)}`);
    given.set(name, [value]);
  }
  return readValues({ options, positionals }, given);
}

/**
 * The options of a command line that is still being typed, for completion: what is unknown or incomplete is
 * left out.
 *
 * @returns the last value of each option; the empty text for a flag
 */
export function givenOptions(args: readonly string[], options: Options): ReadonlyMap<string, string> {
  const given = new Map<string, string>();
  for (const token of tokensOf(args, options)) {
    if (token.kind !== "option" || !Object.hasOwn(options, token.name)) continue;
    const option = options[token.name];
    if (option && faultOf(token, option) === undefined) given.set(token.name, token.value ?? "");
  }
  return given;
}

function tokensOf(args: readonly string[], options: Options) {
  const types = Object.entries(options).map(([name, { placeholder }]) => {
    const type = placeholder === undefined ? ("boolean" as const) : ("string" as const);
    return [name, { type }] as const;
  });
  return parseArgs({
    args: [...args],
    options: { help: { type: "boolean", short: "h" }, ...Object.fromEntries(types) },
    // Mistakes are found in the tokens: Node's own messages are made for programmers.
    strict: false,
    tokens: true,
  }).tokens;
}

function faultOf(
  { value, inlineValue }: { readonly value?: string | undefined; readonly inlineValue?: boolean | undefined },
  { placeholder }: Option<unknown>,
): string | undefined {
  if (placeholder === undefined) return value === undefined ? undefined : "takes no value";
  // In `--config --json` the value was forgotten. `--config=--json` names a file of that name.
  const isMissing = value === undefined || (value.startsWith("-") && inlineValue !== true);
  return isMissing ? `requires a value: ${placeholder}` : undefined;
}

function readValues<O extends Options, P extends Options>(
  { options, positionals }: Syntax<O, P>,
  given: ReadonlyMap<string, readonly string[]>,
): Result<ValuesOf<O & P>, string> {
  const values: Record<string, unknown> = {};
  for (const [name, option] of Object.entries({ ...options, ...positionals })) {
    const result = option.read(given.get(name) ?? []);
    const label = name in options ? `--${name}` : (option.placeholder ?? name);
    if (!result.ok) return err(`${label} ${result.error}`);
    values[name] = result.value;
  }
  return ok(values as ValuesOf<O & P>);
}
