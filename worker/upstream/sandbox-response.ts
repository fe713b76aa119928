/**
 * Gives a workload's answer an opaque origin, and no influence on ours.
 *
 * A browser would take the answer for a page of this origin, with the person's sign-in. That page could open
 * sessions and, for an administrator, end them.
 */
export function sandboxResponse(response: Response): Response {
  const sandboxed = new Response(response.body, response);
  sandboxed.headers.set("Content-Security-Policy", "sandbox");
  sandboxed.headers.set("X-Content-Type-Options", "nosniff");
  for (const name of ORIGIN_SCOPED_HEADERS) sandboxed.headers.delete(name);
  return sandboxed;
}

/**
 * Headers that browsers apply to the whole origin, or that open it to other origins, sandboxed or not. NEL
 * with Report-To would report each of the person's requests here, with its path, to somebody else.
 */
const ORIGIN_SCOPED_HEADERS = [
  "Set-Cookie",
  "Service-Worker-Allowed",
  "NEL",
  "Report-To",
  "Reporting-Endpoints",
  "Clear-Site-Data",
  "Strict-Transport-Security",
  "Alt-Svc",
  "Access-Control-Allow-Origin",
  "Access-Control-Allow-Credentials",
];
