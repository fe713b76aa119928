/** `GET /-/healthz`: the Worker runs and its configuration is valid. Asks nobody else, so that it can be asked often. */
export function serveHealth(request: Request): Response {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return Response.json(
      { error: { code: "method_not_allowed", message: "use GET" } },
      { status: 405, headers: { Allow: "GET, HEAD" } },
    );
  }
  return Response.json({ status: "ok" }, { headers: { "Cache-Control": "no-store" } });
}
