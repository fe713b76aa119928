/** Decides whether the objects' Worker is deployed, which ends sessions. Pure. */
import { formatVersionTag, type VersionTag } from "../deployment/version-tag.ts";
import type { Deployed } from "./deployed-tags.ts";

export type ObjectsDecision =
  | { readonly isDeployed: false; readonly tag: VersionTag }
  | {
      readonly isDeployed: true;
      /** Why, as part of a sentence. */
      readonly reason: string;
      /** False at the first deployment. */
      readonly mayEndSessions: boolean;
      /** Set if the new edge and objects that still run the old code do not understand each other. */
      readonly contractChange?: { readonly from: number; readonly to: number };
    };

/**
 * @param built of this checkout
 * @param forcedBy why it is deployed in any case, as part of a sentence; undefined if it need not be
 */
export function decideObjects(built: VersionTag, deployed: Deployed, forcedBy: string | undefined): ObjectsDecision {
  switch (deployed.state) {
    case "absent":
      return { isDeployed: true, reason: "it does not exist yet", mayEndSessions: false };
    case "unknown":
      return { isDeployed: true, reason: deployed.reason, mayEndSessions: true };
    case "version": {
      const { tag } = deployed;
      if (formatVersionTag(tag) === formatVersionTag(built)) {
        return forcedBy === undefined
          ? { isDeployed: false, tag }
          : { isDeployed: true, reason: `it is unchanged, but ${forcedBy}`, mayEndSessions: true };
      }
      return {
        isDeployed: true,
        reason: `its code or bindings have changed (${formatVersionTag(tag)} runs, ${formatVersionTag(built)} is new)`,
        mayEndSessions: true,
        ...(tag.contract !== built.contract && { contractChange: { from: tag.contract, to: built.contract } }),
      };
    }
  }
}

/** @param name of the objects' Worker */
export function describeObjects(name: string, decision: ObjectsDecision): string {
  if (!decision.isDeployed) {
    return `Objects: ${name} is unchanged (${formatVersionTag(decision.tag)}). Only the edge is deployed, and no session ends.`;
  }
  const { contractChange } = decision;
  const line = `Objects: ${name} is deployed, since ${decision.reason}.`;
  if (!contractChange) return line;
  return (
    `${line}\nThe contract between the Workers changes from ${contractChange.from} to ${contractChange.to}: a user with live ` +
    "sessions cannot open new ones until those have ended (503), and their changes may be refused until then. " +
    "--end-sessions ends them at once."
  );
}
