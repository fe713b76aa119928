// The outside world of the tests: the key set of an Access team, and nothing else.
export default {
  async fetch(request, env) {
    if (new URL(request.url).pathname === "/cdn-cgi/access/certs") return Response.json(env.KEY_SET);
    return new Response(null, { status: 599 });
  },
};
