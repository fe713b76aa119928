/**
 * Where an object may be made to live: Cloudflare's location hints. Only an object's first use can say; it never moves.
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

/** Of a user's objects: `null` is the one that came to live near the user, the others are near clusters. */
export type NullableLocationHint = LocationHint | null;

export const ALL_OBJECT_LOCATIONS: readonly NullableLocationHint[] = [null, ...LOCATION_HINTS];

/** Where the configuration has sessions held. */
export function configuredLocations(
  clusters: readonly { readonly locationHint: NullableLocationHint }[],
): NullableLocationHint[] {
  return [...new Set(clusters.map(({ locationHint }) => locationHint))];
}
