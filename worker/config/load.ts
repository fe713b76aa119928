import * as z from "zod";
import { type Config, configSchema } from "./schema.ts";

/** The configuration cannot be used. The message names each place, for an operator to read. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/**
 * Reads and validates the `SALLYPORT_CONFIG` variable.
 *
 * @param value a JSON object (wrangler `vars`), or its text (a secret, or the dashboard)
 * @throws ConfigError with one line per fault, each with its place in the document
 */
export function loadConfig(value: unknown): Config {
  if (value === undefined || value === "") throw new ConfigError("SALLYPORT_CONFIG is not set");
  const parsed = configSchema.safeParse(typeof value === "string" ? parseJson(value) : value);
  if (!parsed.success) throw new ConfigError(`SALLYPORT_CONFIG is not valid:\n${z.prettifyError(parsed.error)}`);
  const fault = unreachableRule(parsed.data);
  if (fault) throw new ConfigError(`SALLYPORT_CONFIG is not valid:\n✖ ${fault}`);
  return parsed.data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message would quote the text, which may be a secret binding.
    throw new ConfigError("SALLYPORT_CONFIG is not valid JSON");
  }
}

/** A rule whose match already stands above it never wins: the author meant something else. */
function unreachableRule(config: Config): string | undefined {
  const seen = new Map<string, number>();
  for (const [index, rule] of config.identities.entries()) {
    const key = JSON.stringify(rule.match).toLowerCase();
    const earlier = seen.get(key);
    if (earlier !== undefined) return `identities[${index}] can never match: identities[${earlier}] has the same match`;
    seen.set(key, index);
  }
  return undefined;
}
