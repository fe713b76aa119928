/** Group ids in identity rules that are more likely names. Pure. */

/**
 * Finds identity rules whose `group` looks like a name or an address, and not like the id that it is compared
 * with. Providers' ids have digits, and neither spaces nor an @.
 *
 * @param place of the rules, e.g. `identities`
 * @returns a warning for operators for each of them
 */
export function findGroupNames(
  place: string,
  rules: readonly { readonly match: { readonly group?: string | undefined } }[],
): string[] {
  return rules.flatMap(({ match: { group } }, index) =>
    group !== undefined && (!/\d/.test(group) || /[\s@]/.test(group))
      ? [
          `${place}[${index}] compares the group ${group} with ids of groups only: if this is its name, ` +
            "give its id instead, or write groupName (names are not unique)",
        ]
      : [],
  );
}
