/**
 * The Worker has three surfaces: Sallyport's own API under `/-/`, a prefix that no API server has a path
 * under; the console's pages under a part of it; and the clusters' API everywhere else.
 */
const API_PREFIX = "/-/";
const ADMIN_PREFIX = "/-/admin/";

export const HEALTH_PATH = "/-/healthz";
/** The console's first page. All of its pages are below. */
export const CONSOLE_PATH = "/-/console/";
/**
 * Where a browser goes through the sign-in of the admin API, which may be an Access application of its own:
 * Access answers first, and this path redirects to the console's page.
 */
export const CONSOLE_RETURN_PATH = "/-/admin/console";
/** Its scripts and styles, each under a name of its own content. */
export const CONSOLE_ASSETS_PATH = `${CONSOLE_PATH}assets/`;

/** Whether a path belongs to the console or to the rest of Sallyport's own API. */
export function isApiPath(pathname: string): boolean {
  return pathname.startsWith(API_PREFIX);
}

/** Whether a path belongs to the part of the API that needs a role. */
export function isAdminPath(pathname: string): boolean {
  return pathname.startsWith(ADMIN_PREFIX);
}

/** Whether a path is a page of the console, or one of its files. */
export function isConsolePath(pathname: string): boolean {
  return pathname.startsWith(CONSOLE_PATH) || `${pathname}/` === CONSOLE_PATH || pathname === CONSOLE_RETURN_PATH;
}
