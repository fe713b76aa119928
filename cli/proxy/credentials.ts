/** The credential that the proxy adds. */

import { PluginFailure } from "../failure.ts";
import { readTextIfAny } from "../kubeconfig/files.ts";
import { obtain } from "../obtain.ts";
import { requireServes } from "../shared-sign-in.ts";
import { openStore } from "../store/store.ts";
import type { Surroundings } from "../surroundings.ts";
import type { Target } from "../target.ts";
import { decideToken } from "../tokens.ts";

export interface CredentialSource {
  /** Headers to add. @throws PluginFailure where there is no credential */
  readonly headers: () => Promise<Readonly<Record<string, string>>>;
  /** Tells that Access refused what `headers` gave. @returns whether another credential may help */
  readonly reject: (headers: Readonly<Record<string, string>>) => boolean;
}

const ID = "CF_ACCESS_CLIENT_ID";
const SECRET = "CF_ACCESS_CLIENT_SECRET";

/**
 * A service token's credential, from a file or the environment.
 *
 * @returns undefined where there is none: the person's sign-in is used
 * @throws PluginFailure for half a token
 */
export function serviceToken(env: Surroundings["env"], file: string | undefined): CredentialSource | undefined {
  const token = file === undefined ? fromEnvironment(env) : fromFile(file);
  if (token === undefined) return undefined;
  const headers = { "cf-access-client-id": token.clientId, "cf-access-client-secret": token.clientSecret };
  return { headers: async () => headers, reject: () => false };
}

interface ServiceToken {
  readonly clientId: string;
  readonly clientSecret: string;
}

function fromEnvironment(env: Surroundings["env"]): ServiceToken | undefined {
  const { [ID]: clientId, [SECRET]: clientSecret } = env;
  if (!clientId && !clientSecret) return undefined;
  if (!clientId || !clientSecret) throw new PluginFailure("usage", `a service token needs both ${ID} and ${SECRET}`);
  return checked({ clientId, clientSecret }, `${ID} and ${SECRET}`);
}

function fromFile(path: string): ServiceToken {
  const text = readTextIfAny(path);
  if (text === undefined) throw new PluginFailure("usage", `there is no file ${path}`);
  try {
    const { clientId, clientSecret } = JSON.parse(text) as Partial<ServiceToken>;
    if (typeof clientId === "string" && typeof clientSecret === "string")
      return checked({ clientId, clientSecret }, path);
  } catch (error) {
    if (error instanceof PluginFailure) throw error;
  }
  throw new PluginFailure("usage", `${path} must be JSON like {"clientId": "….access", "clientSecret": "…"}`);
}

function checked(token: ServiceToken, source: string): ServiceToken {
  if ([token.clientId, token.clientSecret].every((part) => /^[\x21-\x7e]+$/.test(part))) return token;
  throw new PluginFailure("usage", `${source} is no service token: it has characters that no header may have`);
}

/** The person's own sign-in, which is renewed as for kubectl. */
export function personalToken(target: Target): CredentialSource {
  const { origin, application, surroundings, certificateAuthority } = target;
  if (!application) {
    return { headers: async () => ({}), reject: () => false };
  }
  const store = openStore(surroundings);
  let rejectedToken: string | undefined;
  // Kept in memory between requests: the store may be a keychain.
  let cached: Awaited<ReturnType<typeof obtain>> | undefined;
  let pending: Promise<void> | undefined;
  const isFresh = () =>
    cached !== undefined &&
    cached.tokens.accessToken !== rejectedToken &&
    decideToken(cached.tokens, surroundings.now()).kind === "use";
  const renew = async () => {
    const options = { application, store, surroundings, certificateAuthority, mayReadStdin: true, rejectedToken };
    const renewed = await obtain(options);
    await requireServes(application, { ...options, origin });
    cached = renewed;
  };
  return {
    headers: async () => {
      if (!isFresh()) {
        // Requests that come meanwhile wait for the same renewal.
        pending ??= renew().finally(() => {
          pending = undefined;
        });
        await pending;
      }
      return { authorization: `Bearer ${cached?.tokens.accessToken}` };
    },
    reject: ({ authorization }) => {
      rejectedToken = authorization?.slice("Bearer ".length);
      return true;
    },
  };
}
