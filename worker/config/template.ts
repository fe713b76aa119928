/** User names made from claims: `{email.local}`, `ci-{common_name}`. Pure. */

const PLACEHOLDER = /\{([^{}]*)\}/g;

/** @returns what is wrong with a template under the rule it stands in, if anything */
export function findTemplateError(
  template: string,
  match: { readonly email?: string; readonly emailDomain?: string; readonly serviceToken?: string },
): string | undefined {
  const rest = template.replaceAll(PLACEHOLDER, "");
  if (/[{}]/.test(rest)) return "has a brace without its other half";
  const names = [...template.matchAll(PLACEHOLDER)].map(([, name]) => name ?? "");
  if (names.includes("")) return "has empty braces";
  // Otherwise alice@one.example and alice@two.example would be one user in the cluster.
  if (names.includes("email.local") && match.email === undefined && match.emailDomain === undefined) {
    return "{email.local} needs a rule on one emailDomain (or email): people of several domains would become one user";
  }
  return undefined;
}

/**
 * Puts claims into a template.
 *
 * @param read the text of a name between braces, undefined where the token has none
 * @returns undefined when one is missing: nobody becomes a user with a hole in its name
 */
export function fillTemplate(template: string, read: (name: string) => string | undefined): string | undefined {
  let isWhole = true;
  const filled = template.replaceAll(PLACEHOLDER, (_, name: string) => {
    const value = read(name);
    if (value === undefined || value === "") isWhole = false;
    return value ?? "";
  });
  return isWhole ? filled : undefined;
}
