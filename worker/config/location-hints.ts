import type { NullableLocationHint } from "../../contract/placement.ts";

/** The objects that hold a user's sessions by this configuration. */
export function configuredLocations(
  clusters: readonly { readonly locationHint: NullableLocationHint }[],
): NullableLocationHint[] {
  return [...new Set(clusters.map(({ locationHint }) => locationHint))];
}
