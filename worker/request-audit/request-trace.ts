import type { PodFacts } from "../../audit/pod-facts.ts";
import type { NullableLocationHint } from "../../contract/placement.ts";
import type { RequestInfo } from "../../kubernetes/request-info.ts";
import type { SignIn } from "../access/sign-in.ts";
import type { Denial } from "../denials.ts";
import type { ActingIdentity } from "../policy/acting.ts";
import type { Identity } from "../policy/identify.ts";

/** What the stages find out about a request. The row in the audit log is made from it. */
export interface RequestTrace {
  /** When it arrived, ms since the epoch. */
  readonly at: number;
  /** The Access identity. */
  user?: string;
  /** How the person signed in, once Access was asked where it has to be. */
  signIn?: SignIn;
  /** Without what grants add: exceptions of the audit log go by it, so no grant takes a request out of the log. */
  identity?: Identity;
  /** The person's Kubernetes groups, with those of their grants. */
  groups?: readonly string[];
  /** As whom it runs in the cluster, where its client asked for it. */
  acting?: ActingIdentity;
  cluster?: string;
  /** Of the object that its audit log belongs to; null for the one near the user. */
  locationHint?: NullableLocationHint;
  info?: RequestInfo;
  /** Names of the grants that made a difference to its decision. */
  grants?: readonly string[];
  /** The rule that allowed or refused it, if one did. */
  rule?: string;
  /** Why Sallyport refused it. */
  denial?: Denial;
  /** Why the cluster's answer to an allowed request did not come. */
  failure?: string;
  /** Of a change of pods: what its body asks for. Once the cluster has answered. */
  podFacts?: () => Promise<PodFacts>;
  /** Who answers it. Sessions have events of their own in the audit log. */
  destination?: "cluster" | "session" | "sallyport";
  /** It is in the audit log already, or was refused because it could not be. */
  isRecorded?: boolean;
}
