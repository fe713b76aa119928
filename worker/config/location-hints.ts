/**
 * Cloudflare's location hints for Durable Objects. A hint counts only when an object is created.
 *
 * https://developers.cloudflare.com/durable-objects/reference/data-location/
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

/** Names one of a user's objects: `null` is the object near the user, the others are near clusters. */
export type NullableLocationHint = LocationHint | null;

/** All objects that a user may ever have had, whatever the configuration was. */
export const ALL_OBJECT_LOCATIONS: readonly NullableLocationHint[] = [null, ...LOCATION_HINTS];

/** The objects that hold a user's sessions by this configuration. */
export function configuredLocations(
  clusters: readonly { readonly locationHint: NullableLocationHint }[],
): NullableLocationHint[] {
  return [...new Set(clusters.map(({ locationHint }) => locationHint))];
}
