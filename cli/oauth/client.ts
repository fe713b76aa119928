/** This program as an OAuth client, and how it authenticates at a token endpoint. */
import * as oauth from "oauth4webapi";

/** What is kept of a registration (RFC 7591). */
export interface RegisteredClient {
  readonly clientId: string;
  /** Only where the server insists on one. */
  readonly clientSecret?: string;
  readonly authMethod?: string;
}

/** What is asked for: a native application with a redirect to loopback (RFC 8252, section 7.3). */
export function clientMetadata(redirectUri: string) {
  return {
    client_name: "kubectl-sallyport",
    application_type: "native",
    redirect_uris: [redirectUri],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
  };
}

/** The client as the OAuth library wants it. */
export function libraryClient({ clientId }: RegisteredClient): oauth.Client {
  return { client_id: clientId };
}

/** How the client authenticates: not at all, unless the server has given it a secret. */
export function clientAuthentication({ clientSecret, authMethod }: RegisteredClient): oauth.ClientAuth {
  if (clientSecret === undefined || authMethod === "none") return oauth.None();
  return authMethod === "client_secret_post"
    ? oauth.ClientSecretPost(clientSecret)
    : oauth.ClientSecretBasic(clientSecret);
}
