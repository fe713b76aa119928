import type { LocationHint, NullableLocationHint } from "../../contract/placement.ts";
import type { Config } from "./schema.ts";

/** The objects that hold a user's sessions by this configuration. */
export function configuredLocations(
  clusters: readonly { readonly locationHint: NullableLocationHint }[],
): NullableLocationHint[] {
  return [...new Set(clusters.map(({ locationHint }) => locationHint))];
}

/** Those of a user's objects that have copies of what is decided, by this configuration. */
export function copiesOf({ clusters }: Pick<Config, "clusters">): LocationHint[] {
  return configuredLocations(clusters).filter((location) => location !== null);
}
