/** The names by which Sallyport knows people and service tokens, and what a name alone tells of its person. */

/** Comes before a service token's common name, so that no email address can be a service's name. */
export const SERVICE_TOKEN_PREFIX = "service:";

/** What a match may ask of a name. */
interface NameMatch {
  readonly email?: string | undefined;
  readonly emailDomain?: string | undefined;
  readonly serviceToken?: string | undefined;
}

/**
 * Whether a match may hold for somebody of whom only the name is known. Groups, claims, countries and devices
 * are taken to hold.
 *
 * @param name in lower case: an email address, or `service:<common name>`
 */
export function couldMatchName({ email, emailDomain, serviceToken }: NameMatch, name: string): boolean {
  // No address begins like a service token's name.
  const address = name.startsWith(SERVICE_TOKEN_PREFIX) ? undefined : name;
  return (
    (email === undefined || address === email.toLowerCase()) &&
    (emailDomain === undefined || isOfDomain(address, emailDomain.toLowerCase())) &&
    (serviceToken === undefined || name === (SERVICE_TOKEN_PREFIX + serviceToken).toLowerCase())
  );
}

/**
 * Compares what follows the LAST @: neither `evil@example.com@other.org` nor `alice@notexample.com` is of
 * example.com.
 *
 * @param email and the domain in lower case
 */
export function isOfDomain(email: string | undefined, domain: string): boolean {
  return email !== undefined && email.slice(email.lastIndexOf("@") + 1) === domain;
}
