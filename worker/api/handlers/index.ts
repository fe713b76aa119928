/** The handler of each route. One that is missing does not compile. */
import type { RouteName } from "../routes.ts";
import { askForAccess, endOwnAccess, getAccess } from "./access.ts";
import { listActivity } from "./activity.ts";
import { listApiRequests, listOwnRequests } from "./api-requests.ts";
import { decideApproval, getApproval, getApprovalActivity, listApprovals, revokeGrant } from "./approvals.ts";
import { getSessionChain } from "./chain.ts";
import { getConfig } from "./config.ts";
import { beginDrain, endDrain, getDrain } from "./drain.ts";
import { endSession, endUserSessions } from "./end-sessions.ts";
import { explainRequest } from "./explain.ts";
import { getExport } from "./export.ts";
import type { Handler } from "./handler.ts";
import { getHealth, headHealth } from "./health.ts";
import { getKubeconfig } from "./kubeconfig.ts";
import { streamLive } from "./live.ts";
import { streamAccess } from "./live-access.ts";
import { getLock, lockUser, unlockUser } from "./locks.ts";
import { sendMessage } from "./message.ts";
import { getOpenApi } from "./openapi.ts";
import { endOwnSession, getOwnSession, listOwnSessions } from "./own-sessions.ts";
import { askQuestion, listQuestions } from "./questions.ts";
import { stateReason } from "./reason.ts";
import { getRecording } from "./recording.ts";
import { getSession, listSessions } from "./sessions.ts";
import { getSystemHealth } from "./system-health.ts";
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
  getOwnSession,
  endOwnSession,
  listOwnRequests,
  getAccess,
  askForAccess,
  streamAccess,
  endOwnAccess,
  listApprovals,
  getApproval,
  getApprovalActivity,
  decideApproval,
  revokeGrant,
  listSessions,
  streamLive,
  getSession,
  getSessionChain,
  endSession,
  getRecording,
  watchSession,
  sendMessage,
  endUserSessions,
  listActivity,
  listApiRequests,
  listQuestions,
  askQuestion,
  explainRequest,
  getConfig,
  getSystemHealth,
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
