/** A refusal for a person with a browser, where the console would have been. */
import { escapeHtml } from "../../common/html.ts";
import { STATUS_CODES } from "../../kubernetes/status.ts";
import { DENIALS, type Denial } from "../denials.ts";
import { consoleHeaders } from "./headers.ts";

/** @param url of the request */
export function denyPage({ code, message }: Denial, url: URL): Response {
  const html = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Sallyport: refused</title>
<main><h1>Sallyport does not show this</h1><p>${escapeHtml(message)}</p><p><small>${code}</small></p></main>
</html>
`;
  const headers = { ...consoleHeaders(url), "Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store" };
  return new Response(html, { status: STATUS_CODES[DENIALS[code]], headers });
}
