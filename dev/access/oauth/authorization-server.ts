/**
 * An OAuth 2.0 authorization server as Access's Managed OAuth is one: authorization codes with PKCE for
 * public clients, opaque tokens, refresh tokens that rotate, revocation. Time is an argument; randomness is
 * the platform's. It keeps everything in memory, and of secrets only their hashes.
 */
import { err, ok, type Result } from "../../../common/result.ts";
import { type ApplicationName, applicationAt, type Policies } from "../applications.ts";
import { isLoopbackHost } from "../loopback.ts";
import type { PersonaName } from "../personas.ts";
import { hashText, randomSecret } from "../secrets.ts";
import { Clients } from "./clients.ts";
import { type OAuthError, oauthError } from "./errors.ts";
import { readParameters } from "./parameters.ts";

/** A client must exchange a code at once (RFC 6749, section 4.1.2, recommends at most ten minutes). */
const CODE_LIFETIME_SECONDS = 60;
/** RFC 7636, section 4.1. */
const CODE_VERIFIER = /^[A-Za-z0-9._~-]{43,128}$/;
/** The SHA-256 of a verifier in base64url. */
const CODE_CHALLENGE = /^[A-Za-z0-9_-]{43}$/;
/** How Access's opaque tokens begin. */
const ACCESS_TOKEN_PREFIX = "oauth:";

export interface Lifetimes {
  readonly accessTokenSeconds: number;
  /** How long a sign-in counts, however often its token is renewed. */
  readonly grantSeconds: number;
}

/** A valid authorization request: somebody may sign in for it. */
export interface AuthorizationRequest {
  readonly clientId: string;
  readonly clientName: string;
  readonly redirectUri: string;
  readonly state: string | undefined;
  readonly codeChallenge: string;
  readonly application: ApplicationName;
  readonly resource: string;
  /** Who is suggested, by name or address. */
  readonly loginHint: string | undefined;
}

/**
 * A refused authorization request. Without `redirectTo` the person is told, because the client is unknown.
 */
export interface AuthorizationFailure extends OAuthError {
  readonly redirectTo: string | undefined;
}

/** One sign-in, with all tokens that came from it. */
interface Grant {
  readonly persona: PersonaName;
  readonly application: ApplicationName;
  readonly clientId: string;
  readonly resource: string;
  readonly expiresAtSeconds: number;
  isRevoked: boolean;
}

interface Code {
  readonly request: AuthorizationRequest;
  readonly persona: PersonaName;
  readonly expiresAtSeconds: number;
  /** Set when the code was used: a second use shows that somebody else has it. */
  grant: Grant | undefined;
  isUsed: boolean;
}

interface RefreshToken {
  readonly grant: Grant;
  isUsed: boolean;
}

/** What an access token stands for. One object for the token's life, so that others can cache by it. */
export interface AccessToken {
  readonly persona: PersonaName;
  readonly application: ApplicationName;
  readonly expiresAtSeconds: number;
}

interface IssuedAccessToken extends AccessToken {
  readonly grant: Grant;
}

/** The successful answer of the token endpoint (RFC 6749, section 5.1). */
export interface TokenAnswer {
  readonly access_token: string;
  readonly token_type: "bearer";
  readonly expires_in: number;
  readonly refresh_token: string;
  readonly scope: "";
  readonly resource: string;
}

type Form = Readonly<Record<string, string | undefined>>;

export class AuthorizationServer {
  readonly clients = new Clients();
  readonly #codes = new Map<string, Code>();
  readonly #accessTokens = new Map<string, IssuedAccessToken>();
  readonly #refreshTokens = new Map<string, RefreshToken>();
  readonly #policies: Policies;
  readonly #lifetimes: Lifetimes;

  constructor(policies: Policies, lifetimes: Lifetimes) {
    this.#policies = policies;
    this.#lifetimes = lifetimes;
  }

  /**
   * Reads an authorization request (RFC 6749, section 4.1.1, with RFC 7636 and RFC 8707).
   *
   * @param parameters the query of the address that the browser was sent to
   * @param port the port of this server: a resource must be on it, and on this machine
   */
  readAuthorization(parameters: URLSearchParams, port: string): Result<AuthorizationRequest, AuthorizationFailure> {
    const read = readParameters(parameters);
    const refuse = (failure: OAuthError, redirectTo?: string) => err({ ...failure, redirectTo });
    if (!read.ok) return refuse(read.error);
    const query = read.value;
    const client = this.clients.get(query["client_id"] ?? "");
    if (!client)
      return refuse(oauthError("invalid_client", "this program is not registered here: let it register again"));
    const redirectUri = query["redirect_uri"] ?? "";
    if (!client.redirectUris.includes(redirectUri)) {
      const description = "the address to return to is not one that this program has registered";
      return refuse(oauthError("invalid_redirect_uri", description));
    }
    const state = query["state"];
    const back = (error: string, description: string) =>
      refuse(
        oauthError(error, description),
        addressWith(redirectUri, { error, error_description: description, state }),
      );
    if (query["response_type"] !== "code") return back("unsupported_response_type", "response_type must be code");
    const codeChallenge = query["code_challenge"] ?? "";
    if (query["code_challenge_method"] !== "S256" || !CODE_CHALLENGE.test(codeChallenge)) {
      return back("invalid_request", "PKCE is required: code_challenge, and code_challenge_method=S256");
    }
    const { resource } = query;
    const application = resource === undefined ? undefined : applicationOf(resource, port);
    if (resource === undefined || application === undefined) {
      return back("invalid_target", "resource must be an address of an application here (RFC 8707)");
    }
    return ok({
      clientId: client.id,
      clientName: client.name,
      redirectUri,
      state,
      codeChallenge,
      application,
      resource,
      loginHint: query["login_hint"],
    });
  }

  /** @returns the address of the client that the browser goes back to, with a code, or with the refusal */
  async authorize(request: AuthorizationRequest, persona: PersonaName, nowSeconds: number): Promise<string> {
    const { redirectUri, state, application } = request;
    if (!this.#policies.admits(application, persona)) {
      const description = `no policy of this application admits ${persona}`;
      return addressWith(redirectUri, { error: "access_denied", error_description: description, state });
    }
    this.#forgetExpired(nowSeconds);
    const code = randomSecret();
    const expiresAtSeconds = nowSeconds + CODE_LIFETIME_SECONDS;
    this.#codes.set(await hashText(code), { request, persona, expiresAtSeconds, grant: undefined, isUsed: false });
    return addressWith(redirectUri, { code, state });
  }

  /** Answers the token endpoint (RFC 6749, section 3.2). */
  async exchange(parameters: URLSearchParams, nowSeconds: number): Promise<Result<TokenAnswer, OAuthError>> {
    const form = readParameters(parameters);
    if (!form.ok) return form;
    switch (form.value["grant_type"]) {
      case "authorization_code":
        return this.#exchangeCode(form.value, nowSeconds);
      case "refresh_token":
        return this.#refresh(form.value, nowSeconds);
      default:
        return err(oauthError("unsupported_grant_type", "grant_type must be authorization_code or refresh_token"));
    }
  }

  /** Answers the revocation endpoint (RFC 7009). An unknown token is as good as a revoked one. */
  async revoke(parameters: URLSearchParams): Promise<Result<null, OAuthError>> {
    const form = readParameters(parameters);
    if (!form.ok) return form;
    const { token, client_id: clientId } = form.value;
    if (token === undefined || clientId === undefined) {
      return err(oauthError("invalid_request", "token and client_id are required"));
    }
    const hash = await hashText(token);
    const grant = (this.#refreshTokens.get(hash) ?? this.#accessTokens.get(hash))?.grant;
    if (grant && grant.clientId !== clientId) {
      return err(oauthError("unauthorized_client", "the token was issued to another client"));
    }
    if (this.#refreshTokens.has(hash) && grant) grant.isRevoked = true;
    this.#accessTokens.delete(hash);
    return ok(null);
  }

  /** Ends all sign-ins of a person, as an administrator does in the dashboard. */
  revokeAll(persona: PersonaName): void {
    for (const { grant } of this.#refreshTokens.values()) {
      if (grant.persona === persona) grant.isRevoked = true;
    }
  }

  /** @returns what an access token stands for, or undefined where it counts for nothing (any more) */
  async resolve(token: string, nowSeconds: number): Promise<AccessToken | undefined> {
    if (!token.startsWith(ACCESS_TOKEN_PREFIX)) return undefined;
    const found = this.#accessTokens.get(await hashText(token));
    return found && nowSeconds < found.expiresAtSeconds && !found.grant.isRevoked ? found : undefined;
  }

  async #exchangeCode(form: Form, nowSeconds: number): Promise<Result<TokenAnswer, OAuthError>> {
    const [hash, challenge] = await Promise.all([hashText(form["code"] ?? ""), hashText(form["code_verifier"] ?? "")]);
    const code = this.#codes.get(hash);
    if (!code) return invalidGrant("the code is not valid: sign in again");
    if (code.isUsed) {
      // RFC 6749, section 4.1.2: whoever has the code, has the tokens as well.
      if (code.grant) code.grant.isRevoked = true;
      return invalidGrant("the code was used before, so that its tokens are revoked: sign in again");
    }
    // A wrong verifier uses it up, too: nobody may try several.
    code.isUsed = true;
    const { request, persona } = code;
    if (nowSeconds >= code.expiresAtSeconds) return invalidGrant("the code has expired: sign in again");
    if (form["client_id"] !== request.clientId) return invalidGrant("the code was issued to another client");
    if (form["redirect_uri"] !== request.redirectUri) return invalidGrant("redirect_uri is not that of the sign-in");
    if (!CODE_VERIFIER.test(form["code_verifier"] ?? "") || challenge !== request.codeChallenge) {
      return invalidGrant("code_verifier does not belong to the sign-in's code_challenge");
    }
    const { application, resource, clientId } = request;
    const wrongResource = otherResource(form, resource);
    if (wrongResource) return err(wrongResource);
    const expiresAtSeconds = nowSeconds + this.#lifetimes.grantSeconds;
    const grant: Grant = { persona, application, clientId, resource, expiresAtSeconds, isRevoked: false };
    code.grant = grant;
    return ok(await this.#issue(grant, nowSeconds));
  }

  async #refresh(form: Form, nowSeconds: number): Promise<Result<TokenAnswer, OAuthError>> {
    const refreshToken = this.#refreshTokens.get(await hashText(form["refresh_token"] ?? ""));
    if (!refreshToken) return invalidGrant("the refresh token is not valid: sign in again");
    const { grant } = refreshToken;
    if (form["client_id"] !== grant.clientId) return invalidGrant("the refresh token was issued to another client");
    if (grant.isRevoked) return invalidGrant("the sign-in was revoked: sign in again");
    if (nowSeconds >= grant.expiresAtSeconds) return invalidGrant("the sign-in has expired: sign in again");
    if (refreshToken.isUsed) {
      // RFC 9700, section 4.14.2: either the client or a thief has the newer one, and nobody knows which.
      grant.isRevoked = true;
      return invalidGrant("the refresh token was used before, so that its sign-in is revoked: sign in again");
    }
    const wrongResource = otherResource(form, grant.resource);
    if (wrongResource) return err(wrongResource);
    if (!this.#policies.admits(grant.application, grant.persona)) {
      grant.isRevoked = true;
      return invalidGrant(`no policy of this application admits ${grant.persona} any more`);
    }
    refreshToken.isUsed = true;
    return ok(await this.#issue(grant, nowSeconds));
  }

  async #issue(grant: Grant, nowSeconds: number): Promise<TokenAnswer> {
    this.#forgetExpired(nowSeconds);
    const expiresIn = Math.min(this.#lifetimes.accessTokenSeconds, grant.expiresAtSeconds - nowSeconds);
    const { persona, application, resource } = grant;
    const accessToken = ACCESS_TOKEN_PREFIX + randomSecret();
    const refreshToken = randomSecret();
    const [accessHash, refreshHash] = await Promise.all([hashText(accessToken), hashText(refreshToken)]);
    this.#accessTokens.set(accessHash, { persona, application, expiresAtSeconds: nowSeconds + expiresIn, grant });
    this.#refreshTokens.set(refreshHash, { grant, isUsed: false });
    return {
      access_token: accessToken,
      token_type: "bearer",
      expires_in: expiresIn,
      refresh_token: refreshToken,
      scope: "",
      resource,
    };
  }

  /** Used refresh tokens stay as long as their sign-in, to notice that one is used again. */
  #forgetExpired(nowSeconds: number): void {
    const isOver = ({ isRevoked, expiresAtSeconds }: Grant) => isRevoked || nowSeconds >= expiresAtSeconds;
    for (const [hash, code] of this.#codes) if (nowSeconds >= code.expiresAtSeconds) this.#codes.delete(hash);
    for (const [hash, token] of this.#accessTokens) {
      if (nowSeconds >= token.expiresAtSeconds || isOver(token.grant)) this.#accessTokens.delete(hash);
    }
    for (const [hash, token] of this.#refreshTokens) if (isOver(token.grant)) this.#refreshTokens.delete(hash);
  }
}

/**
 * Any address of an application names it: Access's own metadata has the application's, and clients differ.
 */
function applicationOf(resource: string, port: string): ApplicationName | undefined {
  if (!URL.canParse(resource) || resource.includes("#")) return undefined;
  const url = new URL(resource);
  const isHere = url.protocol === "https:" && url.port === port && isLoopbackHost(url.host, url.href);
  return isHere ? applicationAt(url.pathname) : undefined;
}

/** RFC 8707, section 2.2: a token is for a resource of the sign-in only. */
function otherResource({ resource }: Form, granted: string): OAuthError | undefined {
  const same = resource === undefined || (URL.canParse(resource) && new URL(resource).href === new URL(granted).href);
  return same ? undefined : oauthError("invalid_target", "resource is not that of the sign-in (RFC 8707)");
}

function invalidGrant(description: string): Result<never, OAuthError> {
  return err(oauthError("invalid_grant", description));
}

/** Adds parameters to the query that a redirect address may have already (RFC 6749, section 3.1.2). */
function addressWith(redirectUri: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const url = new URL(redirectUri);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined) url.searchParams.append(name, value);
  }
  return url.href;
}
