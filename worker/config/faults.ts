/** Faults that concern several parts of the document, which its schema cannot see. Pure. */
import type { Grant, IdentityRule, Rule } from "./schema.ts";

/** Finds an identity rule that can never decide, because an earlier one always does. */
export function findUnreachableIdentity(place: string, rules: readonly IdentityRule[]): string | undefined {
  for (const [index, { match }] of rules.entries()) {
    const earlier = rules.slice(0, index).findIndex((above) => covers(above.match, match));
    if (earlier === -1) continue;
    const isSame = canonical(rules[earlier]?.match) === canonical(match);
    const why = isSame ? "has the same match" : "matches all that it does";
    return `${place}[${index}] can never match: ${place}[${earlier}] ${why}`;
  }
  return undefined;
}

/** Finds a rule that can never decide, or that has the name of an earlier one. */
export function findUnreachableRule(place: string, rules: readonly Rule[]): string | undefined {
  for (const [index, { name, match }] of rules.entries()) {
    const above = rules.slice(0, index);
    const namesake = above.findIndex((rule) => rule.name === name);
    if (namesake !== -1) return `${place}[${index}] has the name of ${place}[${namesake}]`;
    const earlier = above.findIndex((rule) => coversLists(rule.match, match));
    if (earlier !== -1) return `${place}[${index}] can never match: ${place}[${earlier}] matches all that it does`;
  }
  return undefined;
}

/** Finds clusters that share a name or a host name. */
export function findDuplicates(
  clusters: readonly { readonly name: string; readonly hostnames: readonly string[] }[],
): (string | undefined)[] {
  const names = clusters.map(({ name }) => [name]);
  const hostnames = clusters.map((cluster) => cluster.hostnames);
  return [findDuplicate("name", names), findDuplicate("host name", hostnames)];
}

/** A list of rules, and where it is. */
interface RuleList {
  readonly place: string;
  readonly rules: readonly Rule[];
}

/** Finds grants that share a name, and whatever grants and rules say of each other that does not fit. */
export function findGrantFaults(grants: readonly Grant[], lists: readonly RuleList[]): string[] {
  const byName = new Map(grants.map((grant) => [grant.name, grant]));
  const approved = new Set(
    lists.flatMap(({ rules }) => rules.filter(({ approval }) => approval !== undefined).map(({ name }) => name)),
  );
  const known = new Set(lists.flatMap(({ rules }) => rules.map(({ name }) => name)));
  return [
    ...grants.flatMap(({ name, gives }, index) => {
      const earlier = grants.findIndex((grant) => grant.name === name);
      const namesake = earlier < index ? [`grants[${index}] has the name of grants[${earlier}]`] : [];
      const rules = gives.rules
        .filter((rule) => !approved.has(rule))
        .map((rule) => `grants[${index}].gives.rules names ${rule}, ${known.has(rule) ? NEEDS_NONE : NO_RULE}`);
      return [...namesake, ...rules];
    }),
    ...findNamesakes(lists),
    ...lists.flatMap(({ place, rules }) =>
      rules.flatMap(({ name, approval }, index) => {
        if (!approval) return [];
        const grant = byName.get(approval.grant);
        if (!grant) return [`${place}[${index}].approval names the grant ${approval.grant}, which is not in grants`];
        if (grant.gives.rules.includes(name)) return [];
        return [
          `${place}[${index}].approval names the grant ${grant.name}, which does not give it: see its gives.rules`,
        ];
      }),
    ),
  ];
}

/**
 * Grants give rules by name, in all clusters. Where rules of one name ask for different grants, the one that
 * is easier to get would open both.
 */
function findNamesakes(lists: readonly RuleList[]): string[] {
  const first = new Map<string, { readonly grant: string; readonly at: string }>();
  return lists.flatMap(({ place, rules }) =>
    rules.flatMap(({ name, approval }, index) => {
      if (!approval) return [];
      const at = `${place}[${index}]`;
      const earlier = first.get(name);
      if (!earlier) first.set(name, { grant: approval.grant, at });
      if (!earlier || earlier.grant === approval.grant) return [];
      return [`${at} has the name of ${earlier.at}, which asks for another grant: each grant would give both`];
    }),
  );
}

const NEEDS_NONE = "a rule that has no approval";
const NO_RULE = "and no rule has this name";

function findDuplicate(what: string, lists: readonly (readonly string[])[]): string | undefined {
  const seen = new Set<string>();
  for (const [index, list] of lists.entries()) {
    for (const value of list) {
      if (seen.has(value)) return `clusters[${index}] has the ${what} of another cluster: ${value}`;
      seen.add(value);
    }
  }
  return undefined;
}

/** Whether the wide match fits everybody whom the narrow one fits, as far as the document tells. */
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

/**
 * The same for rules: each list of the wide match contains the narrow one's. Patterns are compared as text.
 */
function coversLists(wide: Rule["match"], narrow: Rule["match"]): boolean {
  return Object.entries(wide).every(([key, values]) => {
    const narrower: readonly string[] | undefined = narrow[key as keyof Rule["match"]];
    // `*` is not everybody in groups, because an identity may have none, nor in kinds, because a request may.
    const isAll = key !== "groups" && key !== "kinds" && (values as readonly string[]).includes("*");
    return isAll || narrower?.every((value) => (values as readonly string[]).includes(value));
  });
}

/** The match as text, with its keys in order, and addresses and domains in lower case. */
function canonical(match: IdentityRule["match"] | undefined): string {
  const { email, emailDomain, ...others } = match ?? {};
  const folded = { ...others, email: email?.toLowerCase(), emailDomain: emailDomain?.toLowerCase() };
  return JSON.stringify(
    Object.entries(folded)
      .filter(([, value]) => value !== undefined)
      .sort(),
  );
}
