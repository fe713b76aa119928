import * as z from "zod";
import { type Config, configSchema, type IdentityRule } from "./schema.ts";

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

/** A rule that another above it always answers for never wins: the author meant something else. */
function unreachableRule(config: Config): string | undefined {
  const seen = new Map<string, number>();
  for (const [index, rule] of config.identities.entries()) {
    const [key, ...wider] = matchKeys(rule.match);
    for (const above of [key, ...wider]) {
      const earlier = seen.get(above);
      if (earlier === undefined) continue;
      const why = above === key ? "has the same match" : "matches all of its domain";
      return `identities[${index}] can never match: identities[${earlier}] ${why}`;
    }
    seen.set(key, index);
  }
  return undefined;
}

/** The match in a form to compare, then the wider ones that contain it. Addresses and domains compare without case. */
function matchKeys(match: IdentityRule["match"]): [string, ...string[]] {
  if ("email" in match) {
    const email = match.email.toLowerCase();
    return [`email ${email}`, `domain ${email.slice(email.lastIndexOf("@") + 1)}`];
  }
  if ("emailDomain" in match) return [`domain ${match.emailDomain.toLowerCase()}`];
  return [JSON.stringify(match)];
}
