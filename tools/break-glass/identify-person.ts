import type { Result } from "../../common/result.ts";
import { identitiesOf } from "../../terraform/config/identities.ts";
import type { DeployedCluster, Deployment } from "../../terraform/config/schema.ts";
import { readSubject } from "../../worker/access/authenticate.ts";
import type { Denial } from "../../worker/denials.ts";
import { type Identity, identify } from "../../worker/policy/identify.ts";
import { type Sender, tokenPayload } from "../../worker/policy/token-payload.ts";

export interface Person extends Sender {
  /** Ids of groups. */
  readonly groups: readonly string[];
  readonly groupNames: readonly string[];
  readonly posture: readonly string[];
}

/**
 * Finds out whom Sallyport would make of a person. The administrator describes the person, because Access may
 * be down.
 *
 * @returns the identity, or why no identity rule gives one
 */
export function identifyPerson(
  person: Person,
  deployment: Deployment,
  cluster: DeployedCluster,
): Result<Identity, Denial> {
  const subject = readSubject({ ...tokenPayload(person), sub: "break-glass" });
  if (!subject.ok) return subject;
  return identify(subject.value, person, identitiesOf(deployment, cluster));
}
