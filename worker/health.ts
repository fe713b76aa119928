/**
 * `GET /-/healthz`: the Worker runs and its configuration is valid. Asks nobody else, so that it can be asked often.
 *
 * @param version Cloudflare's id of the Worker's version, for who has just deployed one
 */
export function serveHealth(request: Request, version?: string): Response {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return Response.json(
      { error: { code: "method_not_allowed", message: "use GET" } },
      { status: 405, headers: { Allow: "GET, HEAD" } },
    );
  }
  return Response.json(
    { status: "ok", ...(version !== undefined && { version }) },
    { headers: { "Cache-Control": "no-store" } },
  );
}
