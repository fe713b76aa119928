/// <reference path="./console-files.d.ts" />
/** Serves the console, a document and its files, to people whose token is valid, with its own headers. */
import consoleFiles from "@sallyport/console-files";
import { denyApi } from "../api/responses.ts";
import { denial } from "../denials.ts";
import { isReadMethod } from "../methods.ts";
import { CONSOLE_ASSETS_PATH, CONSOLE_PATH, CONSOLE_RETURN_PATH } from "../surfaces.ts";
import { consoleHeaders } from "./headers.ts";

/** The only document. Its script shows the page of the address. */
const DOCUMENT = "index.html";

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
};

/** The name of a file has a hash of its content. Only the person's own browser may keep it. */
const CACHE_FILES = "private, max-age=31536000, immutable";
const CACHE_DOCUMENT = "private, no-cache";

/**
 * Answers a request for a page of the console, or one of its files, from somebody whose token is valid.
 *
 * @param url of the request; `isConsolePath` of its path
 */
export function serveConsole({ method }: Pick<Request, "method">, url: URL): Response {
  if (!isReadMethod(method)) return denyApi(denial("method_not_served", "use GET, HEAD"), ALLOW);
  const { pathname } = url;
  if (pathname === CONSOLE_RETURN_PATH) return redirectTo(returnPath(url));
  if (!pathname.startsWith(CONSOLE_PATH)) return redirectTo(CONSOLE_PATH + url.search);
  const isFile = pathname.startsWith(CONSOLE_ASSETS_PATH);
  const name = isFile ? pathname.slice(CONSOLE_PATH.length) : DOCUMENT;
  const text = Object.hasOwn(consoleFiles, name) ? consoleFiles[name] : undefined;
  if (text === undefined) return denyApi(denial("not_found", `there is no ${pathname} here: reload the page`));
  const headers = new Headers(consoleHeaders(url));
  headers.set("Content-Type", CONTENT_TYPES[name.slice(name.lastIndexOf(".") + 1)] ?? "application/octet-stream");
  headers.set("Cache-Control", isFile ? CACHE_FILES : CACHE_DOCUMENT);
  return new Response(method === "HEAD" ? null : text, { status: 200, headers });
}

const ALLOW = { Allow: "GET, HEAD" };

/** @returns the page of the console that `to` names; for anything else, such as another host, the first */
function returnPath(url: URL): string {
  const to = URL.parse(url.searchParams.get("to") ?? "", url.origin);
  return to?.origin === url.origin && to.pathname.startsWith(CONSOLE_PATH) ? to.pathname + to.search : CONSOLE_PATH;
}

/** Redirects to a path of this host. */
export function redirectTo(path: string): Response {
  return new Response(null, { status: 302, headers: { Location: path, "Cache-Control": "no-store" } });
}
