/** Where a user's objects are, and what they are called. */

/**
 * Cloudflare's location hints for Durable Objects. A hint counts only when an object is created.
 *
 * https://developers.cloudflare.com/durable-objects/reference/data-location/
 *
 * The objects of a hint that is added here know of no lock that was decided before.
 */
export const LOCATION_HINTS = [
  "wnam",
  "enam",
  "sam",
  "weur",
  "eeur",
  "apac",
  "apac-ne",
  "apac-se",
  "oc",
  "afr",
  "me",
] as const;
export type LocationHint = (typeof LOCATION_HINTS)[number];

/**
 * Names one of a user's objects. `null` is the one near the user, which decides about the person. The others
 * are near clusters, and have copies of what it decided.
 */
export type NullableLocationHint = LocationHint | null;

/** All objects that a user may ever have had, whatever the configuration was. */
export const ALL_OBJECT_LOCATIONS: readonly NullableLocationHint[] = [null, ...LOCATION_HINTS];

/**
 * The name of the object that holds a user's sessions with the clusters that have this location hint. All
 * clusters without a hint share the object near the user.
 *
 * @param user as in the audit log. It has no space in it (see worker/access/authenticate.ts), so no name is
 *   another user's object.
 */
export function userObjectName(user: string, locationHint: NullableLocationHint): string {
  return locationHint === null ? user : `${user} ${locationHint}`;
}
