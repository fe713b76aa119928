/** Decides about requests of people who have grants, as the edge does. */
import { classify } from "../../../kubernetes/classify.ts";
import { mayCreate } from "../../../kubernetes/creation.ts";
import { rawRequestTarget } from "../../../kubernetes/path.ts";
import { readSubject } from "../../../worker/access/authenticate.ts";
import { loadConfig } from "../../../worker/config/load.ts";
import type { ConfigInput } from "../../../worker/config/schema.ts";
import { decideWithGrants } from "../../../worker/policy/decide-with-grants.ts";
import { grantsFor, heldGrants } from "../../../worker/policy/grants.ts";
import { identify } from "../../../worker/policy/identify.ts";

export const NOW = 1_000_000;
export const UNTIL = NOW + 60_000;

export interface Person {
  readonly email?: string;
  readonly common_name?: string;
  readonly groups?: readonly string[];
  readonly groupNames?: readonly string[];
}
export const ALICE = { email: "alice@example.com", groups: ["g-1"] };

/** A grant that somebody has now. */
export const active = (grant: string, until = UNTIL, id = `id-${grant}`) => ({ id, grant, until });

export interface Request {
  readonly method?: string;
  readonly who?: Person;
  readonly upgrade?: boolean;
  readonly headers?: Record<string, string>;
}

/** What is decided about a request. */
export function decideFor(
  document: ConfigInput,
  path: string,
  holding: readonly ReturnType<typeof active>[] = [],
  { method = "GET", who = ALICE, upgrade = false, headers = {} }: Request = {},
) {
  const config = loadConfig(document);
  const { groups = [], groupNames = [], ...claims } = who;
  const read = readSubject({
    type: "app",
    sub: claims.email ? "uid" : "",
    exp: 2_000_000_000,
    aud: ["aud"],
    ...claims,
  });
  if (!read.ok) throw new Error(read.error.message);
  const accessIdentity = { groups, groupNames, posture: [] };
  const [cluster] = config.clusters;
  const identity = identify(read.value, accessIdentity, config.identities);
  if (!cluster || !identity.ok) throw new Error("nobody");
  const available = grantsFor(config.grants, read.value, accessIdentity);
  const classified = classify(method, rawRequestTarget(`http://localhost${path}`), upgrade ? "websocket" : null);
  return decideWithGrants({
    ...{ identity: identity.value, client: new Headers(headers), cluster, classified },
    ...{ creates: mayCreate(method, null), grants: config.grants, available },
    held: heldGrants(available, holding, NOW),
  }).decided;
}
