/** Signs a person in: registration, authorization code with PKCE, redirect to loopback (RFC 8252). */
import * as oauth from "oauth4webapi";
import type { Application } from "../application.ts";
import { openBrowser, type SignInMeans } from "../browser.ts";
import { PluginFailure } from "../failure.ts";
import type { Fetch } from "../net/https.ts";
import type { Surroundings } from "../surroundings.ts";
import { type Tokens, tokensFrom } from "../tokens.ts";
import { clientAuthentication, clientMetadata, libraryClient, type RegisteredClient } from "./client.ts";
import { discover, type SignInPoint } from "./discover.ts";
import { fetchOption } from "./fetch-option.ts";
import { type LoopbackListener, listenForRedirect } from "./loopback.ts";
import { describeOauthError } from "./oauth-error.ts";
import { readPasted } from "./redirect.ts";

/** Somebody may have to find a phone for a second factor. */
export const SIGN_IN_TIMEOUT_MS = 5 * 60_000;

export interface SignInOptions {
  readonly application: Application;
  readonly fetch: Fetch;
  readonly surroundings: Surroundings;
  readonly means: SignInMeans;
  /** The loopback port, for `ssh -L`. 0: any. */
  readonly port?: number;
  readonly timeoutMs?: number;
}

export interface SignedIn {
  readonly point: SignInPoint;
  readonly client: RegisteredClient;
  readonly tokens: Tokens;
}

/** @throws PluginFailure that says why nobody is signed in */
export async function signIn(options: SignInOptions): Promise<SignedIn> {
  const { application, fetch, surroundings, port = 0 } = options;
  const point = await discover(application, fetch, surroundings.env["SALLYPORT_AUTHORIZATION_SERVER"]);
  const { host } = new URL(application.origin);
  const listener = await listenForRedirect(port);
  try {
    const client = await register(point, listener.redirectUri, fetch);
    return await authorize(options, point, client, listener);
  } catch (error) {
    throw error instanceof PluginFailure
      ? error
      : new PluginFailure("sign_in_failed", `the sign-in to ${host} failed: ${describeOauthError(error)}`);
  } finally {
    listener.close();
  }
}

async function register({ server }: SignInPoint, redirectUri: string, fetch: Fetch): Promise<RegisteredClient> {
  const response = await oauth.dynamicClientRegistrationRequest(
    server,
    clientMetadata(redirectUri),
    fetchOption(fetch),
  );
  const registered = await oauth.processDynamicClientRegistrationResponse(response);
  const { client_id: clientId, client_secret: clientSecret, token_endpoint_auth_method: authMethod } = registered;
  return {
    clientId,
    ...(typeof clientSecret === "string" && { clientSecret }),
    ...(typeof authMethod === "string" && { authMethod }),
  };
}

async function authorize(
  options: SignInOptions,
  { server, resource }: SignInPoint,
  client: RegisteredClient,
  { redirectUri, waitForAnswer }: LoopbackListener,
): Promise<SignedIn> {
  const { fetch, surroundings } = options;
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const address = authorizationAddress(server, {
    response_type: "code",
    client_id: client.clientId,
    redirect_uri: redirectUri,
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    resource,
  });
  const answer = waitForAnswer(state);
  const parameters = await waitForPerson(options, address, answer, { redirectUri, state });
  const library = libraryClient(client);
  const validated = oauth.validateAuthResponse(server, library, parameters, state);
  const requestedAtMs = surroundings.now();
  const response = await oauth.authorizationCodeGrantRequest(
    server,
    library,
    clientAuthentication(client),
    validated,
    redirectUri,
    verifier,
    { additionalParameters: { resource }, ...fetchOption(fetch) },
  );
  const result = await oauth.processAuthorizationCodeResponse(server, library, response);
  return { point: { server, resource }, client, tokens: tokensFrom(result, requestedAtMs) };
}

function authorizationAddress(server: oauth.AuthorizationServer, parameters: Readonly<Record<string, string>>): string {
  const endpoint = server.authorization_endpoint;
  if (endpoint === undefined || !URL.canParse(endpoint) || new URL(endpoint).protocol !== "https:") {
    throw new PluginFailure("bad_metadata", `${server.issuer} has no sign-in page over https`);
  }
  const url = new URL(endpoint);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url.href;
}

/** Shows the address, and waits for the redirect, a pasted address, or the end of patience. */
async function waitForPerson(
  { application, surroundings, means, timeoutMs = SIGN_IN_TIMEOUT_MS }: SignInOptions,
  address: string,
  answer: Promise<URLSearchParams>,
  expected: { readonly redirectUri: string; readonly state: string },
): Promise<URLSearchParams> {
  const { note, isStderrTerminal, readLines } = surroundings;
  const { host } = new URL(application.origin);
  note(`Sign in to ${host}${application.isAdmin ? " as an administrator" : ""}:\n\n  ${address}\n`);
  if (means.canPaste) {
    note("If the browser is on another machine, paste the address of its last page, which does not load, here.");
  }
  const cleanups: (() => void)[] = [];
  try {
    const others: Promise<URLSearchParams>[] = [timeout(timeoutMs, host, cleanups)];
    if (means.browser) {
      const { program } = means.browser;
      const failed = openBrowser(means.browser, address).then((message) => {
        if (!isStderrTerminal)
          throw new PluginFailure(
            "no_browser",
            `${message}: set SALLYPORT_BROWSER, or run "kubectl sallyport login" in a terminal`,
          );
        note(`${message}: open the address above yourself.`);
        return new Promise<never>(() => {});
      });
      others.push(failed);
      if (isStderrTerminal) note(`Opening it with ${program} …`);
    }
    if (means.canPaste) {
      others.push(
        new Promise((resolve) => {
          const stop = readLines((line) => {
            const pasted = readPasted(line, expected);
            if (pasted) resolve(pasted);
            else if (line.trim() !== "") note(`That is not an address that begins with ${expected.redirectUri}?code=`);
          });
          cleanups.push(stop);
        }),
      );
    }
    return await Promise.race([answer, ...others]);
  } finally {
    for (const cleanup of cleanups) cleanup();
  }
}

function timeout(timeoutMs: number, host: string, cleanups: (() => void)[]): Promise<never> {
  return new Promise((_, reject) => {
    const timer = setTimeout(() => {
      const time = describeDuration(timeoutMs);
      reject(
        new PluginFailure(
          "sign_in_timeout",
          `nobody signed in to ${host} within ${time}: run "kubectl sallyport login" to try again`,
        ),
      );
    }, timeoutMs);
    cleanups.push(() => clearTimeout(timer));
  });
}

/** Pure. @returns a time limit in whole minutes, or else in seconds */
export function describeDuration(ms: number): string {
  return ms >= 60_000 && ms % 60_000 === 0 ? `${ms / 60_000} min` : `${ms / 1_000} s`;
}
