import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { JWTPayload } from "jose";
import { ok } from "../../common/result.ts";
import { readSubject } from "../../worker/access/authenticate.ts";
import { loadConfig } from "../../worker/config/load.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { createHandler } from "../../worker/handler.ts";
import { HOST } from "./people.ts";

/**
 * An edge whose Access says who the caller is, each time that it is asked.
 *
 * @param known the caller's groups, as they are from now on
 */
export function knownEdge(
  who: JWTPayload & { exp: number },
  known: { readonly groups: readonly string[] },
  config: Partial<ConfigInput>,
) {
  const document = env.SALLYPORT_CONFIG as object;
  const handle = createHandler(loadConfig({ ...document, ...config }), {
    authenticate: async () => {
      const subject = readSubject({ type: "app", aud: ["test-audience"], ...who });
      return subject.ok ? ok({ subject: subject.value, token: "a token" }) : subject;
    },
    readAccessIdentity: async () => {
      const { groups } = known;
      return ok({ groups, groupNames: [], posture: [], signIn: { kind: null, deviceId: null } });
    },
  });
  return (path: string, init: RequestInit = {}) =>
    handle(new Request(HOST + path, init), env, createExecutionContext());
}

/** A sign-in's end, as tokens have it. */
export const inAnHour = () => Math.floor(Date.now() / 1_000) + 3_600;
