/**
 * The Worker has two surfaces: Sallyport's own API under `/-/`, a prefix that no API server has a path under,
 * and the clusters' API everywhere else.
 */
const API_PREFIX = "/-/";
const ADMIN_PREFIX = "/-/admin/";

export const HEALTH_PATH = "/-/healthz";

/** Whether a path belongs to Sallyport's own API. */
export function isApiPath(pathname: string): boolean {
  return pathname.startsWith(API_PREFIX);
}

/** Whether a path belongs to the part of the API that needs a role. */
export function isAdminPath(pathname: string): boolean {
  return pathname.startsWith(ADMIN_PREFIX);
}
