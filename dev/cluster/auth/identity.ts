import type { IncomingMessage } from "node:http";
import { internalError } from "../api/status.ts";
import type { ResourceRequest } from "./request-info.ts";

/** The user of a request, as `authentication.k8s.io/v1` UserInfo. */
export interface UserInfo {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

export const ANONYMOUS: UserInfo = { username: "system:anonymous", groups: ["system:unauthenticated"] };

/**
 * The namespace and name of the account that makes every request to this cluster, in place of a sidecar's.
 */
export const PROXY_ACCOUNT_NAME = { namespace: "access-proxy", name: "impersonator" } as const;

/** This account as a user. It may only impersonate. */
export const PROXY_ACCOUNT: UserInfo = {
  username: `system:serviceaccount:${PROXY_ACCOUNT_NAME.namespace}:${PROXY_ACCOUNT_NAME.name}`,
  groups: [...serviceAccountGroups(PROXY_ACCOUNT_NAME.namespace), "system:authenticated"],
};

const AUTHENTICATION = "authentication.k8s.io";
const EXTRA_PREFIX = "impersonate-extra-";

/** The impersonation that a request's headers ask for, as they are. */
interface Requested {
  /** Empty for none. */
  readonly username: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/** Each header line has one group; the key of an extra is the percent-decoded rest of the header's name. */
function requestedBy({ headersDistinct: lines }: IncomingMessage): Requested {
  const extras = Object.entries(lines).filter(([name]) => name.startsWith(EXTRA_PREFIX));
  return {
    username: lines["impersonate-user"]?.[0] ?? "",
    uid: lines["impersonate-uid"]?.[0] ?? "",
    groups: lines["impersonate-group"] ?? [],
    extra: Object.fromEntries(
      extras.map(([name, values]) => [decodeKey(name.slice(EXTRA_PREFIX.length)), values ?? []]),
    ),
  };
}

/**
 * Reads the user from the Impersonate-* headers; system:anonymous without them. As in the API server's
 * impersonation filter, a service account without groups has those of its namespace, and all but the
 * anonymous user belong to system:authenticated unless they ask for it or for system:unauthenticated.
 */
export function impersonatedUser(request: IncomingMessage): UserInfo {
  const { username, uid, groups, extra } = requestedBy(request);
  if (username === "") {
    const asked = [...groups, ...Object.keys(extra), ...(uid === "" ? [] : ["uid"])];
    if (asked.length === 0) return ANONYMOUS;
    throw internalError(`requested [${asked.join(" ")}] without impersonating a user`);
  }
  if (username === ANONYMOUS.username) return { ...ANONYMOUS, groups: [...new Set([...groups, ...ANONYMOUS.groups])] };
  const { namespace } = serviceAccountOf(username) ?? {};
  const given = groups.length === 0 && namespace !== undefined ? serviceAccountGroups(namespace) : groups;
  const isNamed = given.some((group) => group === "system:authenticated" || group === "system:unauthenticated");
  return {
    username,
    ...(uid === "" ? {} : { uid }),
    groups: [...new Set([...given, ...(isNamed ? [] : ["system:authenticated"])])],
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
}

/**
 * What the proxy's account must be allowed for a request's impersonation, as the API server's filter asks.
 */
export function impersonationRequests(request: IncomingMessage): readonly ResourceRequest[] {
  const { username, uid, groups, extra } = requestedBy(request);
  if (username === "") return [];
  const account = serviceAccountOf(username);
  return [
    account
      ? asked("", "serviceaccounts", account.name, { namespace: account.namespace })
      : asked("", "users", username),
    ...groups.map((group) => asked("", "groups", group)),
    ...Object.entries(extra).flatMap(([subresource, values]) =>
      values.map((value) => asked(AUTHENTICATION, "userextras", value, { subresource })),
    ),
    ...(uid === "" ? [] : [asked(AUTHENTICATION, "uids", uid)]),
  ];
}

function asked(
  group: string,
  resource: string,
  name: string,
  more: { readonly namespace?: string; readonly subresource?: string } = {},
): ResourceRequest {
  const { namespace = "", subresource = "" } = more;
  return {
    ...{ isResource: true, path: "", verb: "impersonate", group, version: "v1" },
    ...{ namespace, resource, subresource, name },
  };
}

function serviceAccountOf(username: string): { readonly namespace: string; readonly name: string } | undefined {
  const [, namespace, name] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(username) ?? [];
  return namespace === undefined || name === undefined ? undefined : { namespace, name };
}

function serviceAccountGroups(namespace: string): string[] {
  return ["system:serviceaccounts", `system:serviceaccounts:${namespace}`];
}

function decodeKey(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    // The API server leaves a key unchanged that is not valid percent-encoding.
    return key;
  }
}
