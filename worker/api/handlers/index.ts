/** The handler of each route. One that is missing does not compile. */
import type { RouteName } from "../routes.ts";
import { askForAccess, endOwnAccess, getAccess } from "./access.ts";
import { listApiRequests } from "./api-requests.ts";
import { decideApproval, getApproval, listApprovals, revokeGrant } from "./approvals.ts";
import { beginDrain, endDrain, getDrain } from "./drain.ts";
import { endSession, endUserSessions } from "./end-sessions.ts";
import { getExport } from "./export.ts";
import type { Handler } from "./handler.ts";
import { getHealth, headHealth } from "./health.ts";
import { getKubeconfig } from "./kubeconfig.ts";
import { getLock, lockUser, unlockUser } from "./locks.ts";
import { sendMessage } from "./message.ts";
import { getOpenApi } from "./openapi.ts";
import { endOwnSession, listOwnSessions } from "./own-sessions.ts";
import { stateReason } from "./reason.ts";
import { getRecording } from "./recording.ts";
import { getSession, listSessions } from "./sessions.ts";
import { watchSession } from "./watch.ts";
import { getWebhooks, testWebhooks } from "./webhooks.ts";
import { whoami } from "./whoami.ts";

export const HANDLERS: { readonly [Name in RouteName]: Handler<Name> } = {
  getHealth,
  headHealth,
  getOpenApi,
  whoami,
  getKubeconfig,
  stateReason,
  listOwnSessions,
  endOwnSession,
  getAccess,
  askForAccess,
  endOwnAccess,
  listApprovals,
  getApproval,
  decideApproval,
  revokeGrant,
  listSessions,
  getSession,
  endSession,
  getRecording,
  watchSession,
  sendMessage,
  endUserSessions,
  listApiRequests,
  getExport,
  getLock,
  lockUser,
  unlockUser,
  getDrain,
  beginDrain,
  endDrain,
  getWebhooks,
  testWebhooks,
};
