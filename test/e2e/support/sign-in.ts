/** Signs a persona in at the local stack's front, as a program does. */
import { readFileSync } from "node:fs";
import * as oauth from "oauth4webapi";
import type { PersonaName } from "../../../dev/access/personas.ts";
import type { Stack } from "../../../dev/stack/index.ts";
import { fetchOver } from "./https.ts";

/** No program listens there: the browser's last redirect is read and not followed. */
const REDIRECT = "http://127.0.0.1:49152/callback";

export interface SignedIn {
  readonly accessToken: string;
  /** Gets a new access token. Throws where the sign-in counts no longer. */
  refresh(): Promise<string>;
}

/** @param path `/-/admin` for the administrators' application */
export async function signIn({ front }: Stack, persona: PersonaName, path = ""): Promise<SignedIn> {
  const ca = readFileSync(front.ca, "utf8");
  const through = {
    [oauth.customFetch]: (address: string, init: oauth.CustomFetchOptions<string, unknown>) =>
      fetchOver(ca, address, { method: init.method, headers: init.headers, body: init.body?.toString() ?? "" }),
  };
  const issuer = new URL(front.url);
  const found = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...through });
  const server = await oauth.processDiscoveryResponse(issuer, found);
  const asked = { redirect_uris: [REDIRECT], token_endpoint_auth_method: "none" };
  const client = await oauth.processDynamicClientRegistrationResponse(
    await oauth.dynamicClientRegistrationRequest(server, asked, through),
  );
  const verifier = oauth.generateRandomCodeVerifier();
  const address = new URL(server.authorization_endpoint ?? "");
  address.search = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri: REDIRECT,
    response_type: "code",
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    resource: front.url + path,
    login_hint: persona,
  }).toString();
  const back = new URL((await fetchOver(ca, address)).headers.get("location") ?? "");
  const parameters = oauth.validateAuthResponse(server, client, back, oauth.expectNoState);
  let tokens = await oauth.processAuthorizationCodeResponse(
    server,
    client,
    await oauth.authorizationCodeGrantRequest(server, client, oauth.None(), parameters, REDIRECT, verifier, through),
  );
  return {
    accessToken: tokens.access_token,
    refresh: async () => {
      const { refresh_token: token = "" } = tokens;
      const answer = await oauth.refreshTokenGrantRequest(server, client, oauth.None(), token, through);
      tokens = await oauth.processRefreshTokenResponse(server, client, answer);
      return tokens.access_token;
    },
  };
}
