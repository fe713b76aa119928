/** Dynamic client registration (RFC 7591), as Access offers it to programs on people's own machines. */
import { isJsonObject } from "../../../common/json.ts";
import { err, ok, type Result } from "../../../common/result.ts";
import { type OAuthError, oauthError } from "./errors.ts";

export interface Client {
  readonly id: string;
  /** What it calls itself. Nobody has checked it. */
  readonly name: string;
  readonly redirectUris: readonly string[];
}

/** The oldest registrations go first. A client whose registration is gone registers again. */
const MAX_CLIENTS = 1_000;
const MAX_REDIRECT_URIS = 10;
const MAX_NAME_LENGTH = 100;
const GRANT_TYPES = ["authorization_code", "refresh_token"];

export class Clients {
  readonly #clients = new Map<string, Client>();

  get(id: string): Client | undefined {
    return this.#clients.get(id);
  }

  /**
   * Registers a client, always a public one: a program on somebody's machine keeps no secret.
   *
   * @param metadata the body of the request, parsed
   * @returns the client's metadata as it was registered, which is the answer's body
   */
  register(metadata: unknown, nowSeconds: number): Result<Readonly<Record<string, unknown>>, OAuthError> {
    if (!isJsonObject(metadata)) return invalid("the body must be a JSON object with redirect_uris");
    const redirectUris = metadata["redirect_uris"];
    if (!Array.isArray(redirectUris) || redirectUris.length === 0 || redirectUris.length > MAX_REDIRECT_URIS) {
      return err(oauthError("invalid_redirect_uri", `redirect_uris must be a list of 1 to ${MAX_REDIRECT_URIS}`));
    }
    if (!redirectUris.every(isLoopbackRedirect)) {
      const description =
        "redirect_uri is not allowed: only http:// on 127.0.0.1, [::1] or localhost, without fragment";
      return err(oauthError("invalid_redirect_uri", description));
    }
    const method = metadata["token_endpoint_auth_method"] ?? "none";
    if (method !== "none") return invalid('token_endpoint_auth_method must be "none"');
    const grantTypes = metadata["grant_types"] ?? GRANT_TYPES;
    if (!isListOf(grantTypes, GRANT_TYPES)) return invalid(`grant_types must be of ${GRANT_TYPES.join(" and ")}`);
    const responseTypes = metadata["response_types"] ?? ["code"];
    if (!isListOf(responseTypes, ["code"])) return invalid('response_types must be ["code"]');
    const name = metadata["client_name"] ?? "An unnamed program";
    if (typeof name !== "string" || name.length > MAX_NAME_LENGTH) {
      return invalid(`client_name must be a text of at most ${MAX_NAME_LENGTH} characters`);
    }
    const client: Client = { id: crypto.randomUUID(), name, redirectUris };
    this.#clients.set(client.id, client);
    const [oldest] = this.#clients.keys();
    if (this.#clients.size > MAX_CLIENTS && oldest !== undefined) this.#clients.delete(oldest);
    return ok({
      client_id: client.id,
      client_id_issued_at: nowSeconds,
      client_name: name,
      redirect_uris: redirectUris,
      grant_types: grantTypes,
      response_types: responseTypes,
      token_endpoint_auth_method: method,
    });
  }
}

/** https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/managed-oauth/ */
function isLoopbackRedirect(value: unknown): value is string {
  if (typeof value !== "string" || !URL.canParse(value)) return false;
  const { protocol, hostname, username, password } = new URL(value);
  const isHere = ["127.0.0.1", "[::1]", "localhost"].includes(hostname);
  // Not `url.hash`, which is empty for an empty fragment, too.
  return protocol === "http:" && isHere && username === "" && password === "" && !value.includes("#");
}

function isListOf(value: unknown, allowed: readonly string[]): value is string[] {
  return Array.isArray(value) && value.length > 0 && value.every((one) => allowed.includes(one));
}

function invalid(description: string): Result<never, OAuthError> {
  return err(oauthError("invalid_client_metadata", description));
}
