/**
 * The tag of a deployed Worker version (`wrangler deploy --tag`): what a later deploy, and the doctor,
 * compare. Pure.
 */

export interface VersionTag {
  /** The version of the contract between the edge and the objects that this Worker was built with. */
  readonly contract: number;
  /** The beginning of the bundle's SHA-256, 16 hexadecimal digits. */
  readonly bundle: string;
}

const FORMAT = /^c(\d{1,4})-([0-9a-f]{16})$/;

/** @returns such as `c1-0123456789abcdef` */
export function formatVersionTag({ contract, bundle }: VersionTag): string {
  return `c${contract}-${bundle}`;
}

/** @returns undefined for a version that `sallyport deploy` did not upload */
export function parseVersionTag(tag: string | undefined): VersionTag | undefined {
  const [, contract, bundle] = FORMAT.exec(tag ?? "") ?? [];
  return contract === undefined || bundle === undefined ? undefined : { contract: Number(contract), bundle };
}
