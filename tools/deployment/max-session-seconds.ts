import { loadConfig } from "../../worker/config/load.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";

/**
 * The longest session, in seconds, that a configuration allows anybody: an identity rule or a rule may allow
 * more than the general limit.
 *
 * @throws ConfigError where the document is not valid
 */
export function maxSessionSeconds(document: ConfigInput): number {
  const { limits, clusters } = loadConfig(document);
  const overrides = clusters.flatMap(({ identities, rules }) => [...identities, ...rules].map((rule) => rule.limits));
  return Math.max(
    ...[limits, ...overrides].map(({ maxDurationSeconds }) => maxDurationSeconds ?? limits.maxDurationSeconds),
  );
}
