/** Asks a deployment's own API under `/-/`, with a sign-in where it needs one. */
import { parseJson } from "../common/json.ts";
import { PluginFailure } from "./failure.ts";
import { makeFetch } from "./net/https.ts";
import { statusMessage } from "./net/status-message.ts";
import { readUnauthenticated } from "./oauth/challenge.ts";
import { obtain } from "./obtain.ts";
import { isKnownToServe, requireServes } from "./shared-sign-in.ts";
import { openStore } from "./store/store.ts";
import type { Target } from "./target.ts";
import { isUsable } from "./tokens.ts";

export interface ApiCall {
  readonly method: "GET" | "POST" | "DELETE";
  /** With its query. */
  readonly path: string;
  readonly body?: unknown;
  /** Given the answer's bytes as they come, however long that takes. */
  readonly onPiece?: (piece: Uint8Array) => void;
}

/**
 * Calls the API. A device with WARP needs no token, so where nobody has signed in the first call goes without
 * one.
 *
 * @returns the answer's text
 * @throws PluginFailure with the API's own message for a refusal
 */
export async function callApi(target: Target, call: ApiCall): Promise<string> {
  const { application, surroundings } = target;
  if (application === undefined) return read(target, await send(target, call, undefined));
  const options = {
    application,
    store: openStore(surroundings),
    surroundings,
    certificateAuthority: target.certificateAuthority,
    mayReadStdin: true,
  };
  const stored = await options.store.read(application.id);
  const authority = target.certificateAuthority ?? stored?.certificateAuthority;
  const trusting = { ...target, certificateAuthority: authority };
  const obtainToken = async (rejectedToken?: string) => {
    const { tokens } = await obtain({ ...options, rejectedToken });
    await requireServes(application, { ...options, origin: target.origin });
    return tokens.accessToken;
  };
  let token = stored && (await obtainToken());
  let response = await send(trusting, call, token);
  if (isUnauthenticated(response)) {
    token = await obtainToken(token);
    response = await send(trusting, call, token);
  }
  if (isUnauthenticated(response)) {
    throw new PluginFailure(
      "sign_in_failed",
      `${new URL(target.origin).host} does not accept the sign-in: run "kubectl sallyport logout", then try again`,
    );
  }
  return read(target, response);
}

/**
 * The same with what is stored, and without waiting for anybody: no sign-in, no renewal, no look at another
 * deployment. For shell completion.
 *
 * @throws PluginFailure also where that does not suffice
 */
export async function callApiAtOnce(target: Target, call: ApiCall): Promise<string> {
  const { application, surroundings, origin } = target;
  const stored = application && (await openStore(surroundings).read(application.id));
  if (application && stored && !(isUsable(stored.tokens, surroundings.now()) && isKnownToServe(stored, origin))) {
    throw new PluginFailure("sign_in_required", `the token for ${new URL(origin).host} must be renewed first`);
  }
  const certificateAuthority = target.certificateAuthority ?? stored?.certificateAuthority;
  return read(target, await send({ ...target, certificateAuthority }, call, stored?.tokens.accessToken));
}

/**
 * The same for JSON.
 *
 * @param parse of answers.ts
 * @param ask how it is called: {@link callApi} or {@link callApiAtOnce}
 */
export async function callJson<T>(
  target: Target,
  call: ApiCall,
  parse: (value: unknown) => T | undefined,
  ask: (target: Target, call: ApiCall) => Promise<string> = callApi,
): Promise<T> {
  const answer = parse(parseJson(await ask(target, call)));
  if (answer !== undefined) return answer;
  throw new PluginFailure(
    "api",
    `${new URL(target.origin).host} did not answer as docs/API.md says: check that it is a Sallyport deployment, ` +
      "and that this plugin is of its version",
  );
}

function send(
  { origin, certificateAuthority }: Pick<Target, "origin" | "certificateAuthority">,
  { method, path, body, onPiece }: ApiCall,
  token: string | undefined,
) {
  return makeFetch(certificateAuthority)(origin + path, {
    method,
    headers: {
      accept: "application/json",
      "user-agent": "kubectl-sallyport",
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { "content-type": "application/json" }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(onPiece && { onPiece }),
  });
}

function isUnauthenticated({ status, headers }: Response): boolean {
  const { kind } = readUnauthenticated(status, headers.get("www-authenticate"));
  return kind === "challenge" || kind === "browser-page";
}

async function read({ origin }: Target, response: Response): Promise<string> {
  const text = await response.text();
  if (response.ok) return text;
  throw new PluginFailure(
    "api",
    statusMessage(text) ?? `${new URL(origin).host} answered with status ${response.status}`,
  );
}
