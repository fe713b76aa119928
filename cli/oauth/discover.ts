/** Finds out how to sign in to an application: RFC 9728, then RFC 8414. */
import * as oauth from "oauth4webapi";
import { messageOf } from "../../common/errors.ts";
import { isJsonObject } from "../../common/json.ts";
import { type Application, isResourceOf } from "../application.ts";
import { PluginFailure } from "../failure.ts";
import type { Fetch } from "../net/https.ts";
import { readUnauthenticated } from "./challenge.ts";
import { fetchOption } from "./fetch-option.ts";
import { foreignEndpoint, isTrustedIssuer } from "./issuer.ts";

export interface SignInPoint {
  readonly server: oauth.AuthorizationServer;
  /** The identifier that tokens are asked for (RFC 8707). */
  readonly resource: string;
}

/**
 * Asks an application how to sign in.
 *
 * @param trustedIssuer of `SALLYPORT_AUTHORIZATION_SERVER`: see issuer.ts
 * @throws PluginFailure that says why nobody can sign in there by Managed OAuth
 */
export async function discover(
  application: Application,
  fetch: Fetch,
  trustedIssuer?: string | undefined,
): Promise<SignInPoint> {
  const answer = await getJson(application.probeUrl, fetch);
  const reading = readUnauthenticated(answer.status, answer.headers.get("www-authenticate"));
  const { host } = new URL(application.origin);
  switch (reading.kind) {
    case "open":
      throw new PluginFailure(
        "signed_in_without_plugin",
        `${host} answers without a sign-in, as it does for a device with WARP: use a context without this ` +
          'plugin ("kubectl sallyport kubeconfig --auth warp" writes one)',
      );
    case "browser-page":
      throw new PluginFailure(
        "no_managed_oauth",
        `${host} has no Managed OAuth: connect with WARP, or ask whoever maintains Access to turn it on`,
      );
    case "refused":
      throw new PluginFailure(
        reading.status === 401 ? "no_managed_oauth" : "access_refused",
        reading.status === 401
          ? `${host} does not say how to sign in (no Bearer challenge): it may not be behind Cloudflare Access`
          : `${host} refused the sign-in with status ${reading.status}: ask whoever maintains its Access policies`,
      );
    case "challenge":
      return readMetadata(application, reading.resourceMetadata, fetch, trustedIssuer);
  }
}

async function readMetadata(
  { probeUrl, origin }: Application,
  metadataUrl: string | undefined,
  fetch: Fetch,
  trustedIssuer: string | undefined,
): Promise<SignInPoint> {
  const { resource, issuers } =
    metadataUrl === undefined
      ? { resource: origin, issuers: [await documentedIssuer(origin, fetch)] }
      : await readResource(probeUrl, metadataUrl, fetch);
  const issuer = issuers.find((each) => isTrustedIssuer(each, origin, trustedIssuer));
  if (issuer === undefined) {
    const { host } = new URL(origin);
    throw new PluginFailure(
      "wrong_host",
      `${host} asks for a sign-in at ${issuers[0]}, which is not Cloudflare Access: nothing was sent there. If ` +
        "whoever maintains the deployment confirms it, set SALLYPORT_AUTHORIZATION_SERVER to that address",
    );
  }
  const server = await readServer(issuer, fetch);
  const foreign = foreignEndpoint(server);
  if (foreign !== undefined) {
    throw new PluginFailure("wrong_host", `${issuer} refers to ${foreign} for its sign-in: nothing was sent there`);
  }
  return { server, resource };
}

async function readServer(issuer: string, fetch: Fetch): Promise<oauth.AuthorizationServer> {
  try {
    const url = new URL(issuer);
    const response = await oauth.discoveryRequest(url, { algorithm: "oauth2", ...fetchOption(fetch) });
    return await oauth.processDiscoveryResponse(url, response);
  } catch (error) {
    throw unusable(`the authorization server ${issuer}`, error);
  }
}

/** Where the challenge does not name it: Access documents a place on the application's own host name. */
async function documentedIssuer(origin: string, fetch: Fetch): Promise<string> {
  const what = `the metadata of ${new URL(origin).host}`;
  const metadata = await getJson(`${origin}/.well-known/oauth-authorization-server`, fetch)
    .then((response) => response.json() as Promise<unknown>)
    .catch((error: unknown) => {
      throw unusable(what, error);
    });
  const issuer = isJsonObject(metadata) ? metadata["issuer"] : undefined;
  if (typeof issuer !== "string") throw new PluginFailure("bad_metadata", `${what} names no authorization server`);
  return issuer;
}

async function readResource(probeUrl: string, metadataUrl: string, fetch: Fetch) {
  const { origin, host } = new URL(probeUrl);
  if (!URL.canParse(metadataUrl) || new URL(metadataUrl).origin !== origin) {
    throw new PluginFailure("wrong_host", `${host} refers to another host for its sign-in: nothing was sent there`);
  }
  const metadata = await getJson(metadataUrl, fetch)
    .then(async (response) => {
      const { resource } = (await response.clone().json()) as { readonly resource?: unknown };
      if (typeof resource !== "string" || !isResourceOf(resource, probeUrl)) {
        throw new PluginFailure("wrong_host", `${host} asks for a sign-in at another application: refused`);
      }
      return oauth.processResourceDiscoveryResponse(new URL(resource), response);
    })
    .catch((error: unknown) => {
      throw unusable(`the metadata of ${host}`, error);
    });
  // The library checks no types but that of the resource.
  const issuers: unknown = metadata.authorization_servers;
  if (!Array.isArray(issuers) || issuers.length === 0) {
    throw new PluginFailure("bad_metadata", `the metadata of ${host} names no authorization server`);
  }
  return { resource: metadata.resource, issuers: issuers.map(String) };
}

function getJson(url: string, fetch: Fetch): Promise<Response> {
  return fetch(url, { method: "GET", headers: { accept: "application/json" } });
}

/** Metadata has no secrets, so the library's message may be shown. */
function unusable(what: string, error: unknown): PluginFailure {
  if (error instanceof PluginFailure) return error;
  return new PluginFailure("bad_metadata", `${what} cannot be used for a sign-in: ${messageOf(error)}`);
}
