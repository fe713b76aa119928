import * as z from "zod";
import { type Config, configSchema, type IdentityRule, type Rule, resolveClusters } from "./schema.ts";

/** The configuration cannot be used. The message names each place, for an operator to read. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/**
 * Reads and validates the `SALLYPORT_CONFIG` variable.
 *
 * @param value a JSON object (wrangler `vars`), or its text (a secret, or the dashboard)
 * @param warn is told what is allowed, but should be meant
 * @throws ConfigError with one line per fault, each with its place in the document
 */
export function loadConfig(value: unknown, warn: (words: string) => void = () => {}): Config {
  if (value === undefined || value === "") throw new ConfigError("SALLYPORT_CONFIG is not set");
  const parsed = configSchema.safeParse(typeof value === "string" ? parseJson(value) : value);
  if (!parsed.success) throw new ConfigError(`SALLYPORT_CONFIG is not valid:\n${z.prettifyError(parsed.error)}`);
  const { identities, rules, clusters = [] } = parsed.data;
  const faults = [
    unreachableIdentity("identities", identities),
    unreachableRule("rules", rules),
    ...clusters.flatMap((cluster, index) => [
      unreachableIdentity(`clusters[${index}].identities`, cluster.identities ?? []),
      unreachableRule(`clusters[${index}].rules`, cluster.rules),
    ]),
    findDuplicate(
      "clusters",
      "name",
      clusters.map(({ name }) => [name]),
    ),
    findDuplicate(
      "clusters",
      "hostname",
      clusters.map(({ hostnames }) => hostnames),
    ),
  ].filter((fault) => fault !== undefined);
  if (faults.length > 0) {
    throw new ConfigError(`SALLYPORT_CONFIG is not valid:\n${faults.map((fault) => `✖ ${fault}`).join("\n")}`);
  }
  const config = resolveClusters(parsed.data);
  for (const words of reservedNames(config)) warn(words);
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

/** A rule that another above it always answers for never wins: the author meant something else. */
function unreachableIdentity(place: string, rules: readonly IdentityRule[]): string | undefined {
  for (const [index, { match }] of rules.entries()) {
    const earlier = rules.slice(0, index).findIndex((above) => covers(above.match, match));
    if (earlier === -1) continue;
    const why =
      canonical(rules[earlier]?.match) === canonical(match) ? "has the same match" : "matches all that it does";
    return `${place}[${index}] can never match: ${place}[${earlier}] ${why}`;
  }
  return undefined;
}

/** Whether whoever the narrow match fits, the wide one fits too, as far as the documents alone tell. */
function covers(wide: IdentityRule["match"], narrow: IdentityRule["match"]): boolean {
  const { email, emailDomain, country, ...others } = wide;
  const isDomainOfEmail =
    emailDomain === undefined ||
    emailDomain.toLowerCase() === (narrow.emailDomain ?? narrow.email?.split("@").pop())?.toLowerCase();
  return (
    (email === undefined || email.toLowerCase() === narrow.email?.toLowerCase()) &&
    isDomainOfEmail &&
    (country === undefined || (narrow.country?.every((one) => country.includes(one)) ?? false)) &&
    Object.entries(others).every(([key, value]) => narrow[key as keyof typeof narrow] === value)
  );
}

function unreachableRule(place: string, rules: readonly Rule[]): string | undefined {
  for (const [index, { name, match }] of rules.entries()) {
    const above = rules.slice(0, index);
    const namesake = above.findIndex((rule) => rule.name === name);
    if (namesake !== -1) return `${place}[${index}] has the name of ${place}[${namesake}]`;
    const earlier = above.findIndex((rule) => coversLists(rule.match, match));
    if (earlier !== -1) return `${place}[${index}] can never match: ${place}[${earlier}] matches all that it does`;
  }
  return undefined;
}

/** The same for rules: each list of the wide one must hold all of the narrow one's. Patterns are compared as texts. */
function coversLists(wide: Rule["match"], narrow: Rule["match"]): boolean {
  return Object.entries(wide).every(([key, values]) => {
    const narrower: readonly string[] | undefined = narrow[key as keyof Rule["match"]];
    // Nobody may have no group, so all groups are not everybody.
    const isAll = key !== "groups" && key !== "kinds" && (values as readonly string[]).includes("*");
    return isAll || narrower?.every((value) => (values as readonly string[]).includes(value));
  });
}

function findDuplicate(place: string, what: string, lists: readonly (readonly string[])[]): string | undefined {
  const seen = new Set<string>();
  for (const [index, list] of lists.entries()) {
    for (const value of list) {
      if (seen.has(value)) return `${place}[${index}] has a ${what} that another has, too: ${value}`;
      seen.add(value);
    }
  }
  return undefined;
}

/** Keys in order, addresses and domains without case. */
function canonical(match: IdentityRule["match"] | undefined): string {
  const { email, emailDomain, ...others } = match ?? {};
  const folded = { ...others, email: email?.toLowerCase(), emailDomain: emailDomain?.toLowerCase() };
  return JSON.stringify(
    Object.entries(folded)
      .filter(([, value]) => value !== undefined)
      .sort(),
  );
}

/** `system:` names carry power that no mapping should hand out by accident. */
function reservedNames({ clusters }: Config): string[] {
  const found = clusters.flatMap(({ name, identities }) =>
    identities.flatMap(({ user = "", groups }, index) =>
      [user, ...groups].filter(isReservedName).map((reserved) => reservedNamesWarning(index, name, reserved)),
    ),
  );
  return [...new Set(found)];
}

/** The words that an operator finds in the log. */
export function reservedNamesWarning(index: number | string, cluster: string, name: string): string {
  return `configuration: identities[${index}] of cluster ${cluster} gives ${name}, a name reserved by Kubernetes`;
}

/** Names that Kubernetes keeps for itself (RBAC, "Default roles and role bindings"). */
export function isReservedName(name: string): boolean {
  return name.startsWith("system:");
}
