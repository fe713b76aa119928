/** User names made from claims: `{email.local}`, `ci-{common_name}`. Pure. */

const PLACEHOLDER = /\{([^{}]*)\}/g;

/** Finds what is wrong with a template in a rule with this match; undefined if nothing is. */
export function findTemplateError(
  template: string,
  match: { readonly email?: string; readonly emailDomain?: string; readonly serviceToken?: string },
): string | undefined {
  const rest = template.replaceAll(PLACEHOLDER, "");
  if (/[{}]/.test(rest)) return "has an unmatched brace";
  const names = [...template.matchAll(PLACEHOLDER)].map(([, name]) => name ?? "");
  if (names.includes("")) return "has empty braces";
  // Otherwise alice@one.example and alice@two.example would be the same user in the cluster.
  if (names.includes("email.local") && match.email === undefined && match.emailDomain === undefined) {
    return "{email.local} needs a rule with one emailDomain (or email): people of several domains would be one user";
  }
  return undefined;
}

/**
 * Fills claims into a template.
 *
 * @param read the value for a name between braces; undefined if the token does not have it
 * @returns undefined if a value is missing: nobody gets a user name with a gap
 */
export function fillTemplate(template: string, read: (name: string) => string | undefined): string | undefined {
  let isComplete = true;
  const filled = template.replaceAll(PLACEHOLDER, (_, name: string) => {
    const value = read(name);
    if (value === undefined || value === "") isComplete = false;
    return value ?? "";
  });
  return isComplete ? filled : undefined;
}
