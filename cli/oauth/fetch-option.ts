import * as oauth from "oauth4webapi";
import type { Fetch } from "../net/https.ts";

/** Makes the OAuth library send its requests with ours, which knows the cluster's certificate authority. */
export function fetchOption(fetch: Fetch) {
  return {
    [oauth.customFetch]: (
      url: string,
      { method, headers, body }: { method: string; headers: Record<string, string>; body?: unknown },
    ) => fetch(url, { method, headers, body: body === undefined || body === null ? undefined : String(body) }),
  };
}
