/** Tells a person with a browser from a program, and redirects the person to the console's page. Pure. */
import { CONSOLE_PATH } from "../surfaces.ts";

/**
 * Paths that people open in a browser, and the page of the console that shows the same: a host's own address,
 * and what messages to people name. kubectl prints the address of a request for access to whoever waits, and
 * webhooks have it and others.
 */
const PAGES: readonly (readonly [path: RegExp, page: string])[] = [
  [/^\/(?:-\/)?$/, ""],
  [/^\/-\/(approvals(?:\/[^/]+)?)$/, "$1"],
  [/^\/-\/admin\/(sessions\/[^/]+)$/, "$1"],
  [/^\/-\/admin\/locks\/([^/]+)$/, "people/$1"],
];

/**
 * Whether a browser asks for a page. Browsers say so in `Sec-Fetch-Mode` and `Sec-Fetch-Dest`; older ones by
 * the kinds of document that they accept. kubectl and client libraries do neither.
 */
export function isNavigation({ method, headers }: Pick<Request, "method" | "headers">): boolean {
  if (method !== "GET" || headers.has("Upgrade") || headers.has("Authorization")) return false;
  const mode = headers.get("Sec-Fetch-Mode");
  if (mode === null) return /^text\/html\b/i.test(headers.get("Accept") ?? "");
  return mode === "navigate" && headers.get("Sec-Fetch-Dest") === "document";
}

/** The console's path for a browser that opens such a path without a query. Undefined: no redirect. */
export function consoleRedirect(
  request: Pick<Request, "method" | "headers">,
  { pathname, search }: URL,
): string | undefined {
  if (search !== "") return undefined;
  // Before any header is read: every request passes here, and few have such a path.
  const found = PAGES.find(([path]) => path.test(pathname));
  return found && isNavigation(request) ? CONSOLE_PATH + pathname.replace(...found) : undefined;
}
