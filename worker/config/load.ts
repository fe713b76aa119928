import * as z from "zod";
import { findDuplicates, findGrantFaults, findUnreachableIdentity, findUnreachableRule } from "./faults.ts";
import { type ReservedName, reservedNames } from "./reserved-names.ts";
import { type Config, configSchema, resolveClusters } from "./schema.ts";

/** The configuration cannot be used. The message names the place of each fault, for operators. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/**
 * Reads and validates the `SALLYPORT_CONFIG` variable.
 *
 * @param value a JSON object (wrangler `vars`), or its text (a secret, or the dashboard)
 * @param warn is called with each reserved name: allowed, but rarely intended
 * @throws ConfigError with one line per fault. A deployment with such a document must not start.
 */
export function loadConfig(value: unknown, warn: (reserved: ReservedName) => void = () => {}): Config {
  if (value === undefined || value === "") throw new ConfigError("SALLYPORT_CONFIG is not set");
  const parsed = configSchema.safeParse(typeof value === "string" ? parseJson(value) : value);
  if (!parsed.success) throw new ConfigError(`SALLYPORT_CONFIG is not valid:\n${z.prettifyError(parsed.error)}`);
  const { identities, rules, grants, clusters = [] } = parsed.data;
  const faults = [
    findUnreachableIdentity("identities", identities),
    findUnreachableRule("rules", rules),
    ...clusters.flatMap((cluster, index) => [
      findUnreachableIdentity(`clusters[${index}].identities`, cluster.identities ?? []),
      findUnreachableRule(`clusters[${index}].rules`, cluster.rules),
    ]),
    ...findDuplicates(clusters),
    ...findGrantFaults(grants, [
      { place: "rules", rules },
      ...clusters.map((cluster, index) => ({ place: `clusters[${index}].rules`, rules: cluster.rules })),
    ]),
  ].filter((fault) => fault !== undefined);
  if (faults.length > 0) {
    throw new ConfigError(`SALLYPORT_CONFIG is not valid:\n${faults.map((fault) => `✖ ${fault}`).join("\n")}`);
  }
  const config = resolveClusters(parsed.data);
  for (const reserved of reservedNames(config)) warn(reserved);
  return config;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message would quote the text, which may be a secret binding.
    throw new ConfigError("SALLYPORT_CONFIG is not valid JSON");
  }
}
