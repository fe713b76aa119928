/** Tells a person with a browser from a program, and redirects the person to the console's page. Pure. */
import { CONSOLE_PATH } from "../surfaces.ts";

/** Paths that a person opens to find the console: a host's own address, and that of the API. */
const LEADS_TO_CONSOLE: ReadonlySet<string> = new Set(["/", "/-/"]);

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

/** The console's path for a browser that opens a host's own address. Undefined: no redirect. */
export function consoleRedirect(request: Pick<Request, "method" | "headers">, url: URL): string | undefined {
  return LEADS_TO_CONSOLE.has(url.pathname) && url.search === "" && isNavigation(request) ? CONSOLE_PATH : undefined;
}
