// The outside world of the tests: key sets of Access teams, and nothing else. The team's name says how its
// domain behaves; what the tests want to know of it, or to change, they ask at /control/….
const keySets = new Map();
const fetches = new Map();

export default {
  async fetch(request, env) {
    const { hostname, pathname } = new URL(request.url);
    const [team, ...domain] = hostname.split(".");
    if (domain.join(".") !== "cloudflareaccess.com") return new Response(null, { status: 599 });
    if (pathname === "/control/keys") {
      keySets.set(team, await request.json());
      return new Response(null, { status: 204 });
    }
    if (pathname === "/control/fetches") return Response.json(fetches.get(team) ?? 0);
    if (pathname !== "/cdn-cgi/access/certs") return new Response(null, { status: 404 });
    fetches.set(team, (fetches.get(team) ?? 0) + 1);
    return serveKeys(team, env);
  },
};

function serveKeys(team, env) {
  if (team.startsWith("failing")) return new Response("internal error", { status: 500 });
  if (team.startsWith("html"))
    return new Response("<html>sign in</html>", { headers: { "Content-Type": "text/html" } });
  if (team.startsWith("not-keys")) return Response.json({ public_cert: {} });
  if (team.startsWith("silent")) return new Promise((resolve) => setTimeout(() => resolve(new Response()), 20_000));
  if (team.startsWith("gone")) throw new Error("connection refused");
  return Response.json(keySets.get(team) ?? env.KEY_SET);
}
