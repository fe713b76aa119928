/** Finds out how to sign in to an application: RFC 9728, then RFC 8414. */
import * as oauth from "oauth4webapi";
import { messageOf } from "../../common/errors.ts";
import { type Application, isResourceOf } from "../application.ts";
import { PluginFailure } from "../failure.ts";
import type { Fetch } from "../net/https.ts";
import { readUnauthenticated } from "./challenge.ts";
import { fetchOption } from "./fetch-option.ts";

export interface SignInPoint {
  readonly server: oauth.AuthorizationServer;
  /** The identifier that tokens are asked for (RFC 8707). */
  readonly resource: string;
}

/**
 * Asks an application how to sign in.
 *
 * @throws PluginFailure that says why nobody can sign in there by Managed OAuth
 */
export async function discover(application: Application, fetch: Fetch): Promise<SignInPoint> {
  const answer = await fetch(application.probeUrl, { method: "GET", headers: { accept: "application/json" } });
  const reading = readUnauthenticated(answer.status, answer.headers.get("www-authenticate"));
  const { host } = new URL(application.origin);
  switch (reading.kind) {
    case "open":
      throw new PluginFailure(
        "signed_in_without_plugin",
        `${host} answers without a sign-in, as it does for a device with WARP: use a context without this plugin ` +
          '("kubectl sallyport kubeconfig --auth warp" writes one)',
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
      return readMetadata(application, reading.resourceMetadata, fetch);
  }
}

async function readMetadata(
  { probeUrl, origin }: Application,
  metadataUrl: string | undefined,
  fetch: Fetch,
): Promise<SignInPoint> {
  // Without the parameter Access is asked at its documented place, on the application's own host name.
  const { resource, issuer } =
    metadataUrl === undefined ? { resource: origin, issuer: origin } : await readResource(probeUrl, metadataUrl, fetch);
  try {
    const url = new URL(issuer);
    const response = await oauth.discoveryRequest(url, { algorithm: "oauth2", ...fetchOption(fetch) });
    const server = await oauth.processDiscoveryResponse(url, response);
    return { server, resource };
  } catch (error) {
    throw unusable(`the authorization server ${issuer}`, error);
  }
}

async function readResource(probeUrl: string, metadataUrl: string, fetch: Fetch) {
  const { origin, host } = new URL(probeUrl);
  if (!URL.canParse(metadataUrl) || new URL(metadataUrl).origin !== origin) {
    throw new PluginFailure("wrong_host", `${host} refers to another host for its sign-in: nothing was sent there`);
  }
  const metadata = await fetch(metadataUrl, { method: "GET", headers: { accept: "application/json" } })
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
  const [issuer] = metadata.authorization_servers ?? [];
  if (issuer === undefined) {
    throw new PluginFailure("bad_metadata", `the metadata of ${host} names no authorization server`);
  }
  return { resource: metadata.resource, issuer };
}

/** Metadata has no secrets, so the library's message may be shown. */
function unusable(what: string, error: unknown): PluginFailure {
  if (error instanceof PluginFailure) return error;
  return new PluginFailure("bad_metadata", `${what} cannot be used for a sign-in: ${messageOf(error)}`);
}
