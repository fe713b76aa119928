/**
 * The benchmark's yardstick: returns the upstream's response untouched, so that workerd itself carries bodies
 * and WebSocket frames. It only adds the impersonation headers. It checks nothing and must never be deployed.
 */
import { headersAsUser, UPSTREAM_ORIGIN } from "./persona.ts";

interface Env {
  readonly KUBE_API: { fetch(url: string, init: RequestInit): Promise<Response> };
}

export default {
  fetch(request: Request, { KUBE_API }: Env): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const { method, body } = request;
    const headers = headersAsUser(request.headers);
    return KUBE_API.fetch(UPSTREAM_ORIGIN + pathname + search, { method, headers, body, redirect: "manual" });
  },
};
