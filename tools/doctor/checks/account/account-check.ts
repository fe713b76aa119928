import { type Cloudflare, CloudflareError, isForbidden } from "../../../ports/cloudflare.ts";
import { type Check, type Finding, skipped } from "../../check.ts";

const NO_TOKEN = "no CLOUDFLARE_API_TOKEN: set a token that may read (docs/UPGRADES.md lists its permissions)";

export interface AccountCheck {
  readonly id: string;
  /** Undefined without an API token. */
  readonly api: Cloudflare | undefined;
  /**
   * A permission that a useful token may lack: then the check is skipped. Undefined where every token for
   * this needs the permission: then a refusal is a failure.
   */
  readonly permission?: string;
  readonly run: (api: Cloudflare) => Promise<Finding>;
}

/** A check that reads Cloudflare's API. */
export function accountCheck({ id, api, permission, run }: AccountCheck): Check {
  return {
    id,
    run: async () => {
      if (!api) return skipped(NO_TOKEN);
      try {
        return await run(api);
      } catch (error) {
        if (!isForbidden(error) || permission === undefined) throw error;
        return skipped(`the API token may not read this: add the permission ${permission}`);
      }
    },
  };
}

/** @returns undefined where the API says that there is no such thing */
export async function unlessNotFound<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof CloudflareError && error.status === 404) return undefined;
    throw error;
  }
}
